package egress

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// TestCallers: the keys file narrows what the runs of a caller may reach.
func TestCallers(t *testing.T) {
	w := inWorld(t)
	binary, err := e2etest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.yaml")
	keys := map[string]string{}
	for _, name := range []string{"all", "one", "nothing"} {
		out, err := exec.Command(binary, "keys", "create", "--keys-file="+path, "--caller="+name).Output()
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = strings.TrimSpace(string(out))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, rules := range map[string]string{"one": "api.example.com:80", "nothing": "none"} {
		text = []byte(strings.Replace(string(text), "name: "+name+"\n", "name: "+name+"\n    egress: "+rules+"\n", 1))
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := start(t, "--egress=*.example.com", "--keys-file="+path)
	ask := func(caller, body string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.BaseURL+"/execute", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+keys[caller])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}
	get := `"script": "import requests\ndef main(url):\n    return requests.get(url).text", "input": `
	for _, c := range []struct{ caller, body, want string }{
		{"all", `{` + get + `"http://www.example.com/"}`, `"result":"hello GET "`},
		{"one", `{` + get + `"http://api.example.com/"}`, `"result":"hello GET "`},
		{"one", `{` + get + `"http://www.example.com/"}`, `www.example.com:80 is not among the hosts`},
		{"one", `{` + get + `"http://api.example.com/", "network": {"allow": ["www.example.com"]}}`, `"field":"network.allow[0]"`},
		{"nothing", `{` + get + `"http://api.example.com/"}`, `this run may reach no network`},
		{"nothing", `{` + get + `"http://api.example.com/", "network": {"allow": ["api.example.com"]}}`, `scripts may reach nothing here`},
	} {
		if got := ask(c.caller, c.body); !strings.Contains(got, c.want) {
			t.Errorf("%s, %s: %s; want %s", c.caller, c.body, got, c.want)
		}
	}
	if b := w.reached(); len(b) > 0 {
		t.Errorf("reached: %v", b)
	}
}

// TestMetrics: each connection is counted once, by how it ended.
func TestMetrics(t *testing.T) {
	w := inWorld(t)
	s, out := start(t, "--egress=www.example.com,loopback.example.com", "--metrics-addr=127.0.0.1:0")
	a := execute(t, s, strings.Replace(tools, "%s", `[
		plain("http://www.example.com/"), connect("www.example.com:443", b"x" * 10), plain("http://loopback.example.com/"),
		plain("http://other.example.net/"), raw("x\r\n\r\n"), raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n")]`, 1), trusting(w))
	if !strings.HasPrefix(a.Text, `{"result":[[200,200,403,403,400,400],`) {
		t.Fatal(a.Text)
	}
	_, at, _ := strings.Cut(out.lines(`"metrics":"`)[0], `"metrics":"`)
	at, _, _ = strings.Cut(at, `"`)
	resp, err := http.Get("http://" + at + "/metrics") //nolint:noctx // the server ends it
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`total{outcome="ok"} 2`, `total{outcome="forbidden"} 1`, `total{outcome="not_allowed"} 1`, `total{outcome="malformed"} 2`,
		`total{outcome="cut"} 0`, `connections_open 0`,
	} {
		if !strings.Contains(string(text), "pyexec_egress_connections_"+strings.TrimPrefix(want, "connections_")) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), `pyexec_egress_bytes_total{direction="up"} 0`) {
		t.Error("no bytes are counted")
	}
}
