package httpapi

import "strings"

// otherNames are what clients of similar services call our fields.
var otherNames = map[string]string{
	"code": "script", "source": "script", "source_code": "script", "program": "script", "python": "script",
	"args": "input", "arguments": "input", "params": "input", "inputs": "input", "data": "input",
	"timeout": "timeout_ms", "time_limit": "timeout_ms", "timeout_seconds": "timeout_ms",
	"memory": "memory_mb", "memory_limit": "memory_mb",
	"environment": "env", "env_vars": "env", "envs": "env",
	"verbose": "details", "debug": "details",
	"name": "path", "filename": "path", "text": "content", "base64": "content_base64",
}

// unknownField names the field that is not known and the nearest known one.
func unknownField(parent, name string, known []string) error {
	field := name
	if parent != "" {
		field = parent + "." + name
	}
	hint := "known are " + strings.Join(known, ", ")
	if near := nearest(name, known); near != "" {
		hint = `did you mean "` + near + `"?`
	}
	return invalid(field, "unknown field %q: %s", clip(name), hint)
}

// nearest is the known name that was probably meant, or "".
func nearest(name string, known []string) string {
	if len(name) > 40 {
		return ""
	}
	lower := strings.ToLower(name)
	best, least := "", 3
	for _, k := range known {
		if otherNames[lower] == k {
			return k
		}
		if n := distance(lower, k); n < least && n < len(k) {
			best, least = k, n
		}
	}
	return best
}

// distance is the number of letters to insert, delete or replace, or of
// neighbours to swap, between a and b.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	d := make([][]int, len(x)+1)
	for i := range d {
		d[i] = make([]int, len(y)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			replace := 1
			if x[i-1] == y[j-1] {
				replace = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+replace)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(x)][len(y)]
}
