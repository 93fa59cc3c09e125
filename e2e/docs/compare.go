package docs

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// differs says how got is not what a page prints; "" when it is.
func differs(want block, got string) string {
	if want.language == "text" {
		if !textPattern(want.text).MatchString(strings.TrimSpace(got) + "\n") {
			return fmt.Sprintf("printed\n%s\nwant\n%s", got, want.text)
		}
		return ""
	}
	var w, g any
	if err := json.Unmarshal([]byte(want.text), &w); err != nil {
		return "the page's JSON: " + err.Error()
	}
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		return fmt.Sprintf("printed %q, which is no JSON: %v", got, err)
	}
	if where := jsonDiffers(w, g, "$"); where != "" {
		return where + "; printed " + got
	}
	return ""
}

const anything = "..."

func textPattern(text string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)^`)
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		if line == anything {
			b.WriteString(`(.*\n)?`)
			continue
		}
		for i, part := range strings.Split(line, anything) {
			if i > 0 {
				b.WriteString(`[^\n]*`)
			}
			b.WriteString(regexp.QuoteMeta(part))
		}
		b.WriteString(`\n`)
	}
	return regexp.MustCompile(b.String() + `$`)
}

// jsonDiffers is where got is not want, and how.
func jsonDiffers(want, got any, at string) string {
	switch w := want.(type) {
	case string:
		if g, ok := got.(string); ok && strings.Contains(w, anything) {
			if textPattern(w).MatchString(strings.TrimSpace(g) + "\n") {
				return ""
			}
		}
		if w == anything {
			return ""
		}
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		_, open := w[anything]
		for k := range g {
			if _, known := w[k]; !known && !open {
				return fmt.Sprintf("%s.%s is more than the page has", at, k)
			}
		}
		for k, v := range w {
			if k == anything {
				continue
			}
			member, ok := g[k]
			if !ok {
				return fmt.Sprintf("%s.%s is not there", at, k)
			}
			if where := jsonDiffers(v, member, at+"."+k); where != "" {
				return where
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			break
		}
		for i := range w {
			if where := jsonDiffers(w[i], g[i], fmt.Sprintf("%s[%d]", at, i)); where != "" {
				return where
			}
		}
		return ""
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Sprintf("%s is %v, want %v", at, got, want)
	}
	return ""
}
