package egress

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestLevels: the way out is the same at every level that has one, and the
// layers that are different for it are told.
func TestLevels(t *testing.T) {
	w := inWorld(t)
	for _, level := range []string{"full", "namespaces-masked-proc", "namespaces-no-landlock"} {
		t.Run(level, func(t *testing.T) {
			s, _ := start(t, "--egress=www.example.com", "--unsafe-force-level="+level)
			more := trusting(w)
			more["details"] = true
			a := execute(t, s, fmt.Sprintf(tools, `[get("https://www.example.com/"), connect("169.254.169.254:80"), tried(direct, ("93.184.216.34", 80)),
				tried(direct, ("127.0.0.1", 8080)), tried(direct, ("127.0.0.1", 5353), socket.SOCK_DGRAM), tried(direct, ("::1", 80, 0, 0), socket.SOCK_STREAM, socket.AF_INET6)]`), more)
			if !strings.HasPrefix(a.Text, `{"result":[[200,403,"OSError","OSError","OSError","OSError"],`) {
				t.Errorf("%s", a.Text)
			}
			var told struct {
				Isolation struct {
					Level  string
					Layers map[string]struct {
						Active bool
						Detail string
					}
				}
			}
			if err := json.Unmarshal([]byte(a.Text), &told); err != nil {
				t.Fatal(err)
			}
			layers := told.Isolation.Layers
			if told.Isolation.Level != level || !strings.Contains(layers["net_namespace"].Detail, "proxy") || !strings.Contains(layers["seccomp"].Detail, "TCP") {
				t.Errorf("told: %+v", told.Isolation)
			}
			more["network"] = map[string]any{"allow": []string{}}
			a = execute(t, s, "def main():\n    return 1", more)
			if strings.Contains(a.Text, "TCP") {
				t.Errorf("told of a run without a way out: %s", a.Text)
			}
		})
	}
	if b := w.reached(); len(b) > 0 {
		t.Errorf("reached: %v", b)
	}
}
