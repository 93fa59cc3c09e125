package monitoring

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"go.yaml.in/yaml/v3"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// expression is one of the dashboard or of an alert.
type expression struct{ where, expr string }

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(e2etest.Repo(t, "deploy", "monitoring", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// expressions are all that the dashboard and the alerts ask for, with the
// dashboard's variables filled in.
func expressions(t *testing.T) (shown, alerts []expression) {
	t.Helper()
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read(t, "dashboard.json"), &board); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$__rate_interval", "3s", `"$job"`, `".+"`, `"$instance"`, `".+"`)
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			if target.Expr == "" {
				t.Errorf("%s asks for nothing", panel.Title)
			}
			expr := fill.Replace(target.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s has a variable that there is not: %s", panel.Title, expr)
			}
			shown = append(shown, expression{panel.Title, expr})
		}
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(read(t, "alerts.yaml"), &rules); err != nil {
		t.Fatal(err)
	}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			alerts = append(alerts, expression{rule.Alert, rule.Expr})
		}
	}
	if len(shown) < 30 || len(alerts) < 15 {
		t.Errorf("%d expressions in the dashboard, %d in the alerts", len(shown), len(alerts))
	}
	return shown, alerts
}

// TestPromtool: it finds nothing wrong with the rules, their tests, and what
// the server says.
func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool(t, nil, "check", "rules", "--lint=all", "--lint-fatal", "alerts.yaml")
	out := promtool(t, nil, "test", "rules", "alerts_test.yaml")
	if !strings.Contains(out, "SUCCESS") {
		t.Error(out)
	}
	_, alerts := expressions(t)
	tests := read(t, "alerts_test.yaml")
	for _, alert := range alerts {
		for _, name := range []string{alert.where + " fires", alert.where + " does not"} {
			if !bytes.Contains(tests, []byte("name: "+name+"\n")) {
				t.Errorf("no test %q", name)
			}
		}
	}
	_, addr := scraped(t)
	if out := promtool(t, bytes.NewReader(get(t, "http://"+addr+"/metrics")), "check", "metrics"); strings.Contains(out, "pyexec") {
		t.Error(out)
	}
}

var (
	metricName = regexp.MustCompile(`\b(?:pyexec|process|go)_[a-z_]+\b`)
	sampleName = regexp.MustCompile(`(?m)^[a-z_]+`)
)

// TestEveryMetricIsThere: each name in the dashboard and the alerts is in a
// real scrape, and each metric of ours that a scrape has is in the document.
func TestEveryMetricIsThere(t *testing.T) {
	t.Parallel()
	_, addr := scraped(t)
	scrape := get(t, "http://"+addr+"/metrics")
	have := map[string]bool{}
	for _, name := range sampleName.FindAllString(string(scrape), -1) {
		have[name] = true
	}
	shown, alerts := expressions(t)
	for _, e := range slices.Concat(shown, alerts) {
		for _, name := range metricName.FindAllString(e.expr, -1) {
			if !have[name] {
				t.Errorf("%s asks for %s, which the server does not have", e.where, name)
			}
		}
	}
	docs, err := os.ReadFile(e2etest.Repo(t, "docs", "monitoring.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range have {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, suffix)
		}
		if strings.HasPrefix(name, "pyexec_") && !bytes.Contains(docs, []byte("`"+name+"`")) {
			t.Errorf("docs/monitoring.md does not have %s", name)
		}
	}
}

// TestPrometheus: a real one scrapes a real server, every panel shows
// something, every alert is evaluated, and none of a healthy server fires.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	server, addr := scraped(t)
	base := prometheus(t, addr)
	shown, alerts := expressions(t)
	waiting := slices.Clone(shown)
	eventually(t, 60*time.Second, func() bool {
		post(t, server.BaseURL, `{"script":"def main():\n    return 1"}`)
		post(t, server.BaseURL, `{}`)
		waiting = slices.DeleteFunc(waiting, func(e expression) bool {
			if strings.HasSuffix(e.expr, "== 0") { // shows only what is wrong
				return true
			}
			series, err := query(t.Context(), base, e.expr)
			return err == nil && len(series) > 0
		})
		return len(waiting) == 0
	})
	for _, e := range slices.Concat(shown, alerts) {
		if _, err := query(t.Context(), base, e.expr); err != nil {
			t.Errorf("%s: %v", e.where, err)
		}
	}
	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, State, Health, LastError string }
			}
		}
	}
	if err := json.Unmarshal(get(t, base+"/api/v1/rules"), &rules); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, group := range rules.Data.Groups {
		for _, rule := range group.Rules {
			n++
			if rule.Health != "ok" || rule.State != "inactive" {
				t.Errorf("%+v", rule)
			}
		}
	}
	if n != len(alerts) {
		t.Errorf("Prometheus has %d rules, the file %d", n, len(alerts))
	}
}

func post(t testing.TB, url, body string) {
	t.Helper()
	res, err := http.Post(url+"/execute", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
}

// complaint is the error's text: the schema's package returns an error that
// has none where nothing is wrong.
func complaint(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestDashboard: Grafana's own schema takes it, strictly, and no two panels
// share an id or a place.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text := read(t, "dashboard.json")
	if err := new(dashboard.Dashboard).UnmarshalJSONStrict(text); complaint(err) != "" { //nolint:staticcheck // the schema that every Grafana in use imports
		t.Fatal(err)
	}
	// Read again: what is read strictly loses its panels.
	var board dashboard.Dashboard //nolint:staticcheck // as above
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	if err := board.Validate(); complaint(err) != "" {
		t.Error(err)
	}
	if err := new(dashboard.Dashboard).UnmarshalJSONStrict(bytes.Replace(text, []byte(`"gridPos"`), []byte(`"gridPlace"`), 1)); complaint(err) == "" { //nolint:staticcheck // as above
		t.Error("the schema takes anything")
	}
	if len(board.Panels) < 25 {
		t.Errorf("%d panels", len(board.Panels))
	}
	ids, taken := map[uint32]bool{}, map[[2]uint32]string{}
	for _, entry := range board.Panels {
		id, title, pos := uint32(0), "", dashboard.GridPos{}
		switch {
		case entry.Panel != nil:
			id, title, pos = *entry.Panel.Id, *entry.Panel.Title, *entry.Panel.GridPos
		case entry.RowPanel != nil:
			id, title, pos = entry.RowPanel.Id, *entry.RowPanel.Title, *entry.RowPanel.GridPos
		}
		if ids[id] || title == "" || pos.X+pos.W > 24 {
			t.Errorf("panel %d %q at %+v", id, title, pos)
		}
		ids[id] = true
		for x := pos.X; x < pos.X+pos.W; x++ {
			for y := pos.Y; y < pos.Y+pos.H; y++ {
				if other := taken[[2]uint32{x, y}]; other != "" {
					t.Fatalf("%q lies over %q", title, other)
				}
				taken[[2]uint32{x, y}] = title
			}
		}
	}
}
