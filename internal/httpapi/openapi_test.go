package httpapi

import (
	"maps"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/e2e/contract"
)

func documented(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(New(Options{Version: "v1.2.3"}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestTheDocumentHasEveryField: those that a request may have, and no other.
func TestTheDocumentHasEveryField(t *testing.T) {
	got, err := contract.RequestFields(documented(t), "post", "/execute")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(fields)), got); d != "" {
		t.Errorf("openapi.yaml has other fields (+) than the decoder (-):\n%s", d)
	}
}

// TestTheDocumentHasEveryError: each code at its status and each failure at
// 400, with an example that its schema allows.
func TestTheDocumentHasEveryError(t *testing.T) {
	url := documented(t)
	want := map[string]int{}
	for code, status := range statuses {
		if code != pyexec.CodeCanceled { // nobody reads that answer
			want[string(code)] = status
		}
	}
	for _, failure := range []pyexec.FailureType{
		pyexec.InvalidRequest, pyexec.SyntaxError, pyexec.MissingMain, pyexec.MissingReturn, pyexec.PolicyViolation,
		pyexec.Exception, pyexec.Exited, pyexec.InvalidResult, pyexec.Timeout, pyexec.MemoryLimit, pyexec.Killed,
		pyexec.OutputLimit, pyexec.DiskLimit,
	} {
		want[string(failure)] = statusFailure
	}
	examples, err := contract.Examples(url, "post", "/execute")
	if err != nil {
		t.Fatal(err)
	}
	more, err := contract.ErrorExamples(url)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, example := range append(examples, more...) {
		if kind := example.ErrorType(); kind != "" {
			got[kind] = example.Status
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the examples of openapi.yaml have other errors (+) than the table of statuses and failures (-):\n%s", d)
	}
	for _, path := range []string{"/health", "/livez", "/readyz"} {
		if examples, err := contract.Examples(url, "get", path); err != nil || len(examples) == 0 {
			t.Errorf("%s: %v, %v", path, examples, err)
		}
	}
}

// TestTheDocumentHasEveryRoute: and each of them answers as it says.
func TestTheDocumentHasEveryRoute(t *testing.T) {
	url := documented(t)
	client := httptest.NewServer(nil).Client()
	client.Transport = contract.Transport{}
	for path, rt := range routes {
		if rt.methods[0] != "GET" {
			continue
		}
		for _, method := range []string{"GET", "HEAD", "DELETE"} {
			req := httptest.NewRequest(method, url+path, nil)
			req.RequestURI = ""
			res, err := client.Do(req)
			if err != nil {
				t.Error(err)
				continue
			}
			res.Body.Close()
		}
	}
}
