package cases

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest/strictjson"
)

// tolerance is how far two floats may be apart.
const tolerance = 1e-9

// Answer is what came back for a case.
type Answer struct {
	Status  int
	Body    []byte
	Elapsed time.Duration

	value any   // Body, read strictly
	err   error // why Body is not JSON
}

// NewAnswer reads the body of an answer once, strictly.
func NewAnswer(status int, body []byte, elapsed time.Duration) Answer {
	value, err := strictjson.Parse(body)
	return Answer{Status: status, Body: body, Elapsed: elapsed, value: value, err: err}
}

// isRedirect says whether an answer need have no JSON body.
func (a Answer) isRedirect() bool { return a.Status >= 300 && a.Status < 400 }

func (a Answer) object() map[string]any {
	object, _ := a.value.(map[string]any)
	return object
}

// Check says in which points the answer is not what the case expects.
func (c Case) Check(a Answer) []string {
	if a.err != nil && !a.isRedirect() {
		return []string{fmt.Sprintf("the body is not JSON: %v: %s", a.err, strictjson.Cut(string(a.Body), 300))}
	}
	if (c.PolicyBlocked || c.Expect.PolicyBlocked) && a.Status == 400 && a.errorType() == "policy_violation" {
		return nil
	}
	return c.Expect.check(a)
}

// CheckNice is Check for what is only aimed for.
func (c Case) CheckNice(a Answer) []string {
	var found []string
	for _, nice := range []*Expectation{c.Nice, c.Expect.Nice} {
		if nice != nil {
			found = append(found, nice.checkKeys(a)...)
		}
	}
	return found
}

func (a Answer) errorType() string {
	failure, _ := a.object()["error"].(map[string]any)
	kind, _ := failure["type"].(string)
	return kind
}

// check is checkKeys with the rule that the status is 200 when nothing says
// otherwise.
func (e *Expectation) check(a Answer) []string {
	var found []string
	if e.Status == nil && e.Any == nil && a.Status != 200 {
		found = append(found, fmt.Sprintf("status %d, not 200: %s", a.Status, strictjson.Cut(string(a.Body), 300)))
	}
	return append(found, e.checkKeys(a)...)
}

func (e *Expectation) checkKeys(a Answer) []string {
	var found []string
	fail := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }

	if e.Status != nil {
		wanted, err := statuses(e.Status)
		switch {
		case err != nil:
			fail("%v", err)
		case !slices.Contains(wanted, a.Status):
			fail("status %d, not %v: %s", a.Status, wanted, strictjson.Cut(string(a.Body), 300))
		}
	}
	if e.Result != nil {
		if d := a.diffKey("result", e.Result); d != "" {
			fail("result: %s", d)
		}
	}
	stdout, _ := a.object()["stdout"].(string)
	if e.Stdout != nil && stdout != *e.Stdout {
		fail("stdout is %.200q, not %.200q", stdout, *e.Stdout)
	}
	for _, text := range e.StdoutContains {
		if !strings.Contains(stdout, text) {
			fail("stdout %.200q does not contain %q", stdout, text)
		}
	}
	for _, text := range e.ErrorContains {
		if !a.contains(text) {
			fail("the body does not contain %q: %s", text, strictjson.Cut(string(a.Body), 300))
		}
	}
	if e.JSON != nil {
		wanted, err := strictjson.Parse(e.JSON)
		if err != nil {
			fail("expect.json: %v", err)
		} else if d := subset("$", wanted, a.value); d != "" {
			fail("json: %s", d)
		}
	}
	if e.MaxSeconds > 0 && a.Elapsed.Seconds() > e.MaxSeconds {
		fail("took %.1f s, more than %g", a.Elapsed.Seconds(), e.MaxSeconds)
	}
	return append(found, e.checkAny(a)...)
}

func (e *Expectation) checkAny(a Answer) []string {
	if e.Any == nil {
		return nil
	}
	var reasons []string
	for i, one := range e.Any {
		found := one.check(a)
		if len(found) == 0 {
			return nil
		}
		reasons = append(reasons, fmt.Sprintf("%d: %s", i+1, strings.Join(found, "; ")))
	}
	return []string{"none of the alternatives holds: " + strings.Join(reasons, " | ")}
}

func statuses(text json.RawMessage) ([]int, error) {
	var one int
	if json.Unmarshal(text, &one) == nil {
		return []int{one}, nil
	}
	var many []int
	if err := json.Unmarshal(text, &many); err != nil {
		return nil, fmt.Errorf("expect.status is %s", text)
	}
	return many, nil
}

func (a Answer) diffKey(key string, wanted json.RawMessage) string {
	got, ok := a.object()[key]
	if !ok {
		return "missing in " + strictjson.Cut(string(a.Body), 300)
	}
	want, err := strictjson.Parse(wanted)
	if err != nil {
		return "expectation: " + err.Error()
	}
	return strictjson.Diff(want, got, tolerance)
}

// contains looks for text in the body as sent and in its texts as read, since
// JSON may escape them.
func (a Answer) contains(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(strings.ToLower(string(a.Body)), text) || anyText(a.value, text)
}

func anyText(v any, text string) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(strings.ToLower(v), text)
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return anyText(e, text) })
	case map[string]any:
		for key, e := range v {
			if strings.Contains(strings.ToLower(key), text) || anyText(e, text) {
				return true
			}
		}
	}
	return false
}

// subset says where got lacks something of want. A key that ends in ~ holds
// when the value of the key without it contains the text.
func subset(path string, want, got any) string {
	object, ok := want.(map[string]any)
	if !ok {
		return strictjson.Diff(want, got, tolerance)
	}
	have, ok := got.(map[string]any)
	if !ok {
		return fmt.Sprintf("%s is %s, not an object", path, strictjson.Short(got))
	}
	for key, value := range object {
		name, contains := strings.CutSuffix(key, "~")
		inside, ok := have[name]
		if !ok {
			return fmt.Sprintf("%s has no key %q", path, name)
		}
		if contains {
			text, ok := value.(string)
			if !ok || !anyText(inside, strings.ToLower(text)) {
				return fmt.Sprintf("%s.%s is %s, which does not contain %s", path, name, strictjson.Short(inside), strictjson.Short(value))
			}
			continue
		}
		if d := subset(path+"."+name, value, inside); d != "" {
			return d
		}
	}
	return ""
}
