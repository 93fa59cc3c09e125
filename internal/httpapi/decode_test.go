package httpapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/httpapi"
)

var smallLimits = pyexec.Limits{
	Timeout: 10 * time.Second, Memory: 512 * pyexec.MiB, MinMemory: 64 * pyexec.MiB,
	Script: 1 * pyexec.MiB, Depth: 5, Disk: 10, DiskFiles: 4,
}

func TestDecodeRefuses(t *testing.T) {
	files := func(list string) string { return `"files":` + list }
	tests := []struct {
		member  string
		field   string
		message string // a part of it
	}{
		{`"scirpt":"x"`, "scirpt", `unknown field "scirpt": did you mean "script"?`},
		{`"code":"x"`, "code", `did you mean "script"?`},
		{`"zzz":1`, "zzz", "known are details, env, files, input"},
		{`"` + strings.Repeat("k", 5000) + `":1`, strings.Repeat("k", 100) + "...", "unknown field"},
		{`"input":{"a":{"b":1,"b":2}}`, "input.a.b", `"b" appears twice`},
		{`"input":[[[[[[1]]]]]]`, "input", "deeper than 5 levels"},
		{`"input":"\udc00"`, "input", "surrogate"},
		{`"stdin":null`, "stdin", "a string, not null"},
		{`"details":1`, "details", "true or false, not a number"},
		{`"details":null`, "details", "true or false, not null"},
		{`"timeout_ms":0`, "timeout_ms", "at least 1 milliseconds"},
		{`"timeout_ms":-5`, "timeout_ms", "at least 1"},
		{`"timeout_ms":1.5`, "timeout_ms", "without fraction or exponent"},
		{`"timeout_ms":1e3`, "timeout_ms", "without fraction or exponent"},
		{`"timeout_ms":"5"`, "timeout_ms", "an integer number of milliseconds, not a string"},
		{`"timeout_ms":10001`, "timeout_ms", "only lower the server's limit of 10000 milliseconds"},
		{`"timeout_ms":99999999999999999999999999`, "timeout_ms", "limit of 10000"},
		{`"timeout_ms":null`, "timeout_ms", "not null"},
		{`"memory_mb":63`, "memory_mb", "at least 64 megabytes"},
		{`"memory_mb":513`, "memory_mb", "limit of 512 megabytes"},
		{`"env":[]`, "env", "an object, not an array"},
		{`"env":{"A":1}`, "env.A", "a string, not a number"},
		{`"env":{"1A":"x"}`, "env.1A", "not starting with a digit"},
		{`"env":{"":"x"}`, "env.", "letters"},
		{`"env":{"A=B":"x"}`, "env.A=B", "letters"},
		{`"env":{"A":"\u0000"}`, "env.A", "NUL"},
		{files(`{}`), "files", "an array, not an object"},
		{files(`[1]`), "files[0]", "an object, not a number"},
		{files(`[{"content":""}]`), "files[0].path", "required"},
		{files(`[{"path":"a"}]`), "files[0]", "one of content"},
		{files(`[{"path":"a","content":"","content_base64":""}]`), "files[0]", "one of content"},
		{files(`[{"path":"a","contents":""}]`), "files[0].contents", `did you mean "content"?`},
		{files(`[{"path":"a","content":null}]`), "files[0].content", "a string, not null"},
		{files(`[{"path":"a","content_base64":"AA"}]`), "files[0].content_base64", "padding"},
		{files(`[{"path":"a","content_base64":"AA=\n="}]`), "files[0].content_base64", "line breaks"},
		{files(`[{"path":"a","content_base64":"AB=="}]`), "files[0].content_base64", "standard base64"},
		{files(`[{"path":"a","content":""},{"path":"a","content":""}]`), "files[1].path", "earlier file as well"},
		{files(`[{"path":"a/b","content":""},{"path":"a","content":""}]`), "files[1].path", "is a directory"},
		{files(`[{"path":"a","content":""},{"path":"a/b/c","content":""}]`), "files[1].path", "as its directory"},
		{files(`[{"path":"a/b/c/d/e","content":""}]`), "files", "more than 4 files and directories"},
	}
	for path, message := range map[string]string{
		"": "empty", "/a": "absolute", "../a": "..", "a/../b": "..", "..": "..", ".": "clean", "./a": "clean",
		"a//b": "clean", "a/": "clean", `a\u0000b`: "NUL", strings.Repeat("x", 256): "255", strings.Repeat("x/", 600) + "x": "1024",
	} {
		tests = append(tests, struct{ member, field, message string }{
			files(`[{"path":"` + path + `","content":""}]`), "files[0].path", message,
		})
	}
	for _, tt := range tests {
		_, err := httpapi.DecodeRequest([]byte(`{"script":"x",`+tt.member+`}`), smallLimits)
		var e *pyexec.Error
		if !errors.As(err, &e) || e.Code != pyexec.CodeInvalidRequest {
			t.Errorf("%.80s: error %v", tt.member, err)
			continue
		}
		if e.Field != tt.field || !strings.Contains(e.Message, tt.message) || len(e.Message) > 1024 {
			t.Errorf("%.80s:\n field %q, want %q\n message %q, want %q", tt.member, e.Field, tt.field, e.Message, tt.message)
		}
	}
}

func TestDecodeTooLarge(t *testing.T) {
	for body, limit := range map[string]pyexec.Bytes{
		`{"script":"` + strings.Repeat("x", 1<<20+1) + `"}`:                         1 << 20,
		`{"script":"x","files":[{"path":"a","content":"12345678901"}]}`:             10,
		`{"script":"x","env":{"A":"` + strings.Repeat("x", 128<<10) + `"}}`:         128 << 10,
		`{"script":"x","files":[{"path":"a","content_base64":"MTIzNDU2Nzg5MDE="}]}`: 10,
	} {
		_, err := httpapi.DecodeRequest([]byte(body), smallLimits)
		var e *pyexec.Error
		if !errors.As(err, &e) || e.Code != pyexec.CodeTooLarge || e.Limit != limit {
			t.Errorf("%.60s: %v, want too_large with %v", body, err, limit)
		}
	}
}

func TestDecodeAccepts(t *testing.T) {
	for _, member := range []string{
		`"input":null`, `"input":[[[[["[[[[[[[\"{{{{"]]]]]`, `"timeout_ms":10000`, `"timeout_ms":1`, `"memory_mb":64`, `"memory_mb":512`,
		`"env":{}`, `"env":{"_a1":"","LD_PRELOAD":"x"}`, `"files":[]`, `"stdin":"\u0000"`,
		`"files":[{"path":"a b/é.txt","content":"x"},{"path":"..a","content_base64":""}]`,
	} {
		if _, err := httpapi.DecodeRequest([]byte(` {"script":"x",`+member+"}\n"), smallLimits); err != nil {
			t.Errorf("%s: %v", member, err)
		}
	}
}

// FuzzDecodeRequest: the decoder never panics; what it refuses it refuses
// with an error that may be shown; what it accepts is within the limits, is
// JSON for a lenient parser too, and means the same to it.
func FuzzDecodeRequest(f *testing.F) {
	for _, seed := range []string{
		plain, `{`, `null`, `{"script":"a","script":"b"}`, `{"script":"\ud83d\ude00","input":{"a":[1e999,-0]}}`,
		`{"script":"x","files":[{"path":"a/b","content":"x"},{"path":"c","content_base64":"AA=="}],"env":{"A":"b"}}`,
		`{"script":"x","timeout_ms":10000,"memory_mb":64,"details":true,"stdin":"\u0000"}`, "\xef\xbb\xbf{}", `{"script":"x"} x`,
		`{"scirpt":"x"}`, `{"script":"x","input":[[[[[[]]]]]]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		original := string(body)
		req, err := httpapi.DecodeRequest(body, smallLimits)
		if string(body) != original {
			t.Fatal("the body was changed")
		}
		if err != nil {
			var e *pyexec.Error
			if !errors.As(err, &e) || e.Code == pyexec.CodeInternal || len(e.Message) > 1024 || e.Message == "" {
				t.Fatalf("refused with %#v", err)
			}
			return
		}
		var lenient struct{ Script, Stdin string }
		if err := json.Unmarshal(body, &lenient); err != nil || lenient.Script != req.Script || lenient.Stdin != req.Stdin {
			t.Fatalf("encoding/json reads %+v, %v; we read %+v", lenient, err, req)
		}
		if len(req.Input) > 0 && !jsontext.Value(req.Input).IsValid() {
			t.Fatalf("input is %q", req.Input)
		}
		if req.Timeout <= 0 || req.Timeout > smallLimits.Timeout || req.Memory < smallLimits.MinMemory || req.Memory > smallLimits.Memory {
			t.Fatalf("limits were raised: %+v", req)
		}
		seen := map[string]bool{}
		for _, file := range req.Files {
			if seen[file.Path] || strings.HasPrefix(file.Path, "/") || strings.Contains("/"+file.Path+"/", "/../") {
				t.Fatalf("file %q", file.Path)
			}
			seen[file.Path] = true
		}
	})
}

func BenchmarkDecodeRequest(b *testing.B) {
	for _, n := range []int{100, 1 << 20} {
		body := fmt.Appendf(nil, `{"script":%q,"input":{"a":[1,2,3]}}`, "def main(x): return x\n#"+strings.Repeat("x", n-30))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := httpapi.DecodeRequest(body, pyexec.DefaultLimits()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
