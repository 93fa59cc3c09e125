package pool

import (
	"regexp"
	"strings"
)

// KindOf returns the choice of a zygote by a script's text: the one with the
// fewest imports that has all that the script seems to import, "base", "numpy"
// or "pandas". More names modules that the last one has, too. The choice need
// not understand Python: a wrong guess only costs time.
func KindOf(more []string) func(script string) string {
	names := []string{"numpy", "pandas", "requests"}
	for _, name := range more {
		names = append(names, regexp.QuoteMeta(strings.SplitN(name, ".", 2)[0]))
	}
	known := `\b(` + strings.Join(names, "|") + `)\b`
	// An import at the start of a line, or after a colon or semicolon.
	imports := regexp.MustCompile(`(?m)(?:^|[;:])[ \t]*(?:import|from)[ \t]+[^\n#;]*?` + known)
	return func(script string) string {
		kind := "base"
		for _, m := range imports.FindAllStringSubmatch(script, -1) {
			if m[1] != "numpy" {
				return "pandas"
			}
			kind = m[1]
		}
		return kind
	}
}
