package apifuzz

import (
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// validate holds what it reads to OpenAPI's own schema of 3.1, which
// schemathesis brings.
const validate = `
import json, sys
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR
OPENAPI_31_VALIDATOR.validate(json.load(sys.stdin))
print("valid")
`

// TestDocumentIsOpenAPI: the document is what the specification wants.
func TestDocumentIsOpenAPI(t *testing.T) {
	python := filepath.Join(filepath.Dir(tool(t)), "python")
	server := e2etest.Start(t)
	res, err := http.Get(server.BaseURL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	check := func(document string) (string, error) {
		cmd := exec.CommandContext(t.Context(), python, "-c", validate)
		cmd.Stdin = strings.NewReader(document)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := check(string(text)); err != nil || out != "valid\n" {
		t.Errorf("%v: %.2000s", err, out)
	}
	if out, err := check(strings.ReplaceAll(string(text), `"description":`, `"descriptions":`)); err == nil || !strings.Contains(out, "Failed validating") {
		t.Errorf("a document with other fields is valid: %s", out)
	}
}
