package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machineFacts are for the header and the JSON.
func machineFacts(ctx context.Context, b *bench) (map[string]string, error) {
	facts := map[string]string{
		"cpu": cpuModel(), "cores": fmt.Sprint(runtime.NumCPU()), "go": runtime.Version(),
		"time": time.Now().UTC().Format(time.RFC3339), "arguments": strings.Join(os.Args[1:], " "),
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		facts["kernel"] = unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:])
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		facts["load before"] = strings.Join(strings.Fields(string(text))[:3], " ")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.server.url+"/health", nil)
	if err != nil {
		return nil, err
	}
	resp, err := b.ours.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var health struct {
		Version, Python string
		Packages        map[string]string
		Isolation       struct{ Level string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&health); err != nil {
		return nil, err
	}
	facts["pyexec"], facts["isolation"] = health.Version, health.Isolation.Level
	facts["python"] = fmt.Sprintf("%s, numpy %s, pandas %s", health.Python, health.Packages["numpy"], health.Packages["pandas"])
	return facts, nil
}

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
