package pool

import "regexp"

// importLine finds what looks like an import of a package that has a zygote
// of its own. It need not understand Python: a wrong guess only costs time.
var importLine = regexp.MustCompile(`(?m)^[ \t;]*(?:import|from)[ \t]+[^\n#]*?\b(numpy|pandas|requests)\b|(?:;|:)[ \t]*(?:import|from)[ \t]+(numpy|pandas|requests)\b`)

// KindOf names the zygote with the fewest imports that has all that the
// script seems to import: "base", "numpy" or "pandas".
func KindOf(script string) string {
	kind := "base"
	for _, m := range importLine.FindAllStringSubmatch(script, -1) {
		name := m[1] + m[2]
		if name != "numpy" {
			return "pandas"
		}
		kind = name
	}
	return kind
}
