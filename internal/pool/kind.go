package pool

import (
	"slices"
	"strings"
)

// KindOf returns the choice of a zygote by a script's text: the one with the
// fewest imports that has all that the script seems to import, "base", "net",
// "numpy", "pandas" or "plots". More names modules that the last two have, too.
//
// It need not understand Python, since a wrong guess only costs time. But it
// runs outside the sandbox on text that is hostile, so its time grows with the
// text's length alone; a regular expression took seconds for some scripts.
func KindOf(more []string) func(script string) string {
	heavy := []string{"pandas"}
	for _, module := range more {
		top, _, _ := strings.Cut(module, ".")
		heavy = append(heavy, top)
	}
	return func(script string) string {
		var numpy, requests, network, pandas bool
		for line := range strings.Lines(script) {
			line, _, _ = strings.Cut(line, "#")
			names := imported(line)
			if names == "" {
				network = network || strings.Contains(line, "async def")
				continue
			}
			imports := func(module string) bool { return hasWord(names, module) }
			if imports("matplotlib") {
				return "plots"
			}
			pandas = pandas || slices.ContainsFunc(heavy, imports)
			numpy = numpy || imports("numpy")
			requests = requests || imports("requests")
			network = network || slices.ContainsFunc(networking, imports)
		}
		switch {
		case pandas && strings.Contains(script, ".plot"): // which imports matplotlib
			return "plots"
		case pandas || numpy && requests: // which it has where there is egress
			return "pandas"
		case numpy:
			return "numpy"
		case requests || network:
			return "net"
		}
		return "base"
	}
}

// networking are the modules that the zygote "net" has beside requests.
var networking = []string{"asyncio", "concurrent", "hashlib", "hmac", "http", "secrets", "ssl", "urllib"}

// imported is what follows the first import or from that begins a statement.
func imported(line string) string {
	imports, froms := indexFrom(line, "import", 0), indexFrom(line, "from", 0)
	for imports < len(line) || froms < len(line) {
		at, end := imports, imports+len("import")
		if froms < imports {
			at, end = froms, froms+len("from")
		}
		before := strings.TrimRight(line[:at], " \t")
		rest := line[end:]
		begins := before == "" || strings.HasSuffix(before, ";") || strings.HasSuffix(before, ":")
		if begins && (strings.HasPrefix(rest, " ") || strings.HasPrefix(rest, "\t")) {
			return rest
		}
		// Only the one that was found is looked for again: no byte twice.
		if at == froms {
			froms = indexFrom(line, "from", end)
		} else {
			imports = indexFrom(line, "import", end)
		}
	}
	return ""
}

// indexFrom is where word stands in line at or after start, or line's length.
func indexFrom(line, word string, start int) int {
	if i := strings.Index(line[start:], word); i >= 0 {
		return start + i
	}
	return len(line)
}

func hasWord(text, word string) bool {
	for {
		before, after, found := strings.Cut(text, word)
		if !found {
			return false
		}
		if !endsInWord(before) && !beginsInWord(after) {
			return true
		}
		text = after
	}
}

func endsInWord(s string) bool   { return s != "" && partOfWord(s[len(s)-1]) }
func beginsInWord(s string) bool { return s != "" && partOfWord(s[0]) }

func partOfWord(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z' || b >= 0x80
}
