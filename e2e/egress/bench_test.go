package egress

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// load is a script that tells the median time of a request in microseconds. It
// runs in the sandbox and, as it is, outside of it.
const load = `
import time, requests
def main(given):
    url, n, session = given
    s = requests.Session()
    took = []
    for _ in range(n):
        began = time.perf_counter()
        (s if session else requests).get(url).content
        took.append(time.perf_counter() - began)
    return sorted(took)[n // 2] * 1e6
`

// BenchmarkRequest compares a request through the proxy with the same one
// made directly by the same interpreter:
//
//	go test -run '^$' -bench Request ./e2e/egress
func BenchmarkRequest(b *testing.B) {
	w, err := theWorld()
	if err != nil {
		b.Fatal(err)
	}
	s := e2etest.StartWith(b, e2etest.Config{Args: []string{"--egress=www.example.com", "--egress-requests=1000000", "--timeout=60s", "--egress-bytes=1GB"}})
	ca := filepath.Join(b.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, w.ca, 0o600); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name, url string
		session   bool
	}{
		{"http", "http://www.example.com/", false},
		{"https", "https://www.example.com/", false},
		{"https in a session", "https://www.example.com/", true},
		{"3 MB", "http://www.example.com/big", false},
	} {
		b.Run(c.name, func(b *testing.B) {
			const each = 50
			var direct, proxied []float64
			for range max(3, min(b.N, 15)) { // in turns, so that a busy machine slows both
				input := []any{c.url, each, c.session}
				direct = append(direct, outside(b, ca, input))
				more := trusting(w)
				more["input"] = input
				a := execute(b, s, load, more)
				took, ok := a.Result.(float64)
				if !ok {
					b.Fatal(a.Text)
				}
				proxied = append(proxied, took)
			}
			slices.Sort(direct)
			slices.Sort(proxied)
			d, p := direct[len(direct)/2], proxied[len(proxied)/2]
			b.ReportMetric(d, "direct-us")
			b.ReportMetric(p, "proxied-us")
			b.ReportMetric(p/d, "ratio")
			b.ReportMetric(0, "ns/op")
			w.requests()
		})
	}
}

// outside is what load tells without a sandbox.
func outside(b *testing.B, ca string, input any) float64 {
	b.Helper()
	text, err := json.Marshal(input)
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(e2etest.Repo(b, ".pyexec/venv/bin/python3"), "-I", "-c", load+"\nimport json, sys\nprint(main(json.loads(sys.argv[1])))", string(text))
	cmd.Env = []string{"REQUESTS_CA_BUNDLE=" + ca, "LANG=C.UTF-8"}
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err)
	}
	var took float64
	if err := json.Unmarshal(out, &took); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return took
}

// BenchmarkRunsThatDoNotUseIt compares a run that reaches for no network on
// servers without and with --egress, one at a time and many at once:
//
//	go test -run '^$' -bench NotUse -benchtime 2000x ./e2e/egress
//
// OTHER_BINARY is another pyexec to compare with, such as one from before.
func BenchmarkRunsThatDoNotUseIt(b *testing.B) {
	type server struct {
		name string
		*e2etest.Server
		more map[string]any
		took []time.Duration
	}
	servers := []*server{
		{name: "off", Server: e2etest.StartWith(b, e2etest.Config{})},
		{name: "on", Server: e2etest.StartWith(b, e2etest.Config{Args: []string{"--egress=public"}})},
	}
	servers = append(servers, &server{name: "on-narrowed", Server: servers[1].Server, more: map[string]any{"network": map[string]any{"allow": []string{}}}})
	if other := os.Getenv("OTHER_BINARY"); other != "" {
		servers = append(servers, &server{name: "other", Server: e2etest.StartWith(b, e2etest.Config{Binary: other})})
	}
	const hello = "def main():\n    return 42"
	run := func(s *server) time.Duration {
		began := time.Now()
		if a := execute(b, s.Server, hello, s.more); a.Status != 200 {
			b.Fatal(a.Text)
		}
		return time.Since(began)
	}
	for _, s := range servers {
		for range 50 {
			run(s)
		}
	}
	b.Run("one at a time", func(b *testing.B) {
		for range b.N { // in turns
			for _, s := range servers {
				s.took = append(s.took, run(s))
			}
		}
		for _, s := range servers {
			slices.Sort(s.took)
			b.ReportMetric(float64(s.took[len(s.took)/2].Microseconds()), s.name+"-p50-us")
		}
		b.ReportMetric(float64(servers[1].took[len(servers[1].took)/2])/float64(servers[0].took[len(servers[0].took)/2]), "on/off")
		b.ReportMetric(0, "ns/op")
	})
	b.Run("4 at once", func(b *testing.B) {
		rates := map[string][]float64{}
		for range 5 { // in turns
			for _, s := range servers {
				var wg sync.WaitGroup
				began := time.Now()
				for range 4 {
					wg.Go(func() {
						for range max(b.N/20, 25) {
							run(s)
						}
					})
				}
				wg.Wait()
				rates[s.name] = append(rates[s.name], float64(4*max(b.N/20, 25))/time.Since(began).Seconds())
			}
		}
		for _, s := range servers {
			slices.Sort(rates[s.name])
			b.ReportMetric(rates[s.name][2], s.name+"-runs/s")
		}
		b.ReportMetric(0, "ns/op")
	})
}
