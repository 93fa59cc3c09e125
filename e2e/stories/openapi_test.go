package stories

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/python-code-executor/pyexec/e2e/contract"
	"github.com/python-code-executor/pyexec/e2e/e2etest/strictjson"
)

// TestDocumentedExamples posts each request of the document's examples and
// gets the answer of the same name, to the letter.
func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	url := shared(t)
	examples, err := contract.Examples(url, "post", "/execute")
	if err != nil {
		t.Fatal(err)
	}
	requests, answers := map[string]contract.Example{}, map[string]contract.Example{}
	for _, example := range examples {
		if example.Status == 0 {
			requests[example.Name] = example
		} else {
			answers[example.Name] = example
		}
	}
	if len(requests) < 15 {
		t.Errorf("only %d examples of requests", len(requests))
	}
	for name, request := range requests {
		want, ok := answers[name]
		if !ok {
			t.Errorf("the request %s has no answer of its name", name)
			continue
		}
		a, err := send(t.Context(), "POST", url+"/execute", request.Value)
		if err != nil || a.status != want.Status {
			t.Errorf("%s: %d, want %d: %v: %s", name, a.status, want.Status, err, a.text)
			continue
		}
		wanted, err := strictjson.Parse(want.Value)
		if err != nil {
			t.Fatal(err)
		}
		if d := strictjson.Diff(wanted, a.body, 0); d != "" {
			t.Errorf("%s is not answered as documented: %s", name, d)
		}
	}
}

// TestContractFinds: the check of the contract fails on what is not in it.
func TestContractFinds(t *testing.T) {
	t.Parallel()
	url := shared(t)
	a := execute(t, url, request{"script": inMain("return 1"), "details": true})
	a.want(t, "1")
	good := contract.Exchange{Method: "POST", Path: "/execute", Status: 200, Header: a.header, Body: []byte(a.text)}
	if err := contract.Check(url, good); err != nil {
		t.Error(err)
	}
	changed := func(change func(x *contract.Exchange)) error {
		x := good
		x.Header = good.Header.Clone()
		change(&x)
		return contract.Check(url, x)
	}
	member := func(key string, value any) []byte {
		var body map[string]any
		if err := json.Unmarshal(good.Body, &body); err != nil {
			t.Fatal(err)
		}
		body[key] = value
		if value == nil {
			delete(body, key)
		}
		text, _ := json.Marshal(body)
		return text
	}
	for name, change := range map[string]func(x *contract.Exchange){
		"another status":           func(x *contract.Exchange) { x.Status = 201 },
		"another field":            func(x *contract.Exchange) { x.Body = member("extra", 1) },
		"another type":             func(x *contract.Exchange) { x.Body = member("stdout", 1) },
		"another field inside":     func(x *contract.Exchange) { x.Body = bytes.Replace(x.Body, []byte(`"wall_ms"`), []byte(`"wall_s"`), 1) },
		"a field less":             func(x *contract.Exchange) { x.Body = member("stdout", nil) },
		"not JSON":                 func(x *contract.Exchange) { x.Body = []byte("{") },
		"another media type":       func(x *contract.Exchange) { x.Header.Set("Content-Type", "text/html") },
		"another header":           func(x *contract.Exchange) { x.Header.Set("X-Extra", "1") },
		"no request id":            func(x *contract.Exchange) { x.Header.Del("X-Request-Id") },
		"a header of another form": func(x *contract.Exchange) { x.Header.Set("Server-Timing", "run") },
		"a path that is not there": func(x *contract.Exchange) { x.Path = "/run" },
		"a field that was taken":   func(x *contract.Exchange) { x.Request = []byte(`{"script":"x","new":1}`) },
		"an error of no type": func(x *contract.Exchange) {
			x.Status, x.Body = 400, []byte(`{"error":{"type":"new","message":""},"stdout":""}`)
		},
		"a begun run to repeat": func(x *contract.Exchange) {
			x.Status, x.Body = 503, []byte(`{"error":{"type":"overloaded","message":"","started":true},"stdout":""}`)
		},
	} {
		if changed(change) == nil {
			t.Errorf("%s: not found", name)
		}
	}
}
