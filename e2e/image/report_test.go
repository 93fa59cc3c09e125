//go:build image

package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// row is what one environment showed.
type row struct {
	mode
	layers             []string
	p50, first, pandas time.Duration
	result             string
}

var rows []row

const (
	tableBegin = "<!-- make image-test writes from here -->\n"
	tableEnd   = "<!-- to here -->\n"
)

// writeReport prints the table, and puts it into the file of -report.
func writeReport(rows []row) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Linux %s, %s, %d CPUs, Docker %s:\n\n", kernel(), runtime.GOARCH, runtime.NumCPU(), dockerVersion())
	b.WriteString("| environment | options of `docker run` | level | hello p50 | `docker run` to the first right answer | × `python3 -c \"import pandas\"` there | hostile scripts |\n|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		ratio := 0.0
		if r.pandas > 0 {
			ratio = r.first.Seconds() / r.pandas.Seconds()
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` | %.1f ms | %.2f s | %.2f | %s |\n", r.name, r.shown, r.level,
			float64(r.p50.Microseconds())/1000, r.first.Seconds(), ratio, r.result)
	}
	b.WriteString("\n| layer |")
	var layers []string
	for _, r := range rows {
		fmt.Fprintf(&b, " %s |", r.name)
		layers = append(layers, r.layers...)
	}
	slices.Sort(layers)
	b.WriteString("\n|---|" + strings.Repeat("---|", len(rows)) + "\n")
	for _, name := range slices.Compact(layers) {
		fmt.Fprintf(&b, "| `%s` |", name)
		for _, r := range rows {
			mark := ""
			if slices.Contains(r.layers, name) {
				mark = "active"
			}
			fmt.Fprintf(&b, " %s |", mark)
		}
		b.WriteString("\n")
	}
	fmt.Print("\n" + b.String() + "\n")
	if *reportTo == "" {
		return nil
	}
	root, err := e2etest.Root()
	if err != nil {
		return err
	}
	return replaceTable(filepath.Join(root, *reportTo), b.String())
}

func replaceTable(file, table string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(text), tableBegin)
	_, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		return errors.New(file + " has no markers for the table")
	}
	return os.WriteFile(file, []byte(before+tableBegin+"\n"+table+"\n"+tableEnd+after), 0o644)
}

func kernel() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "?"
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(release)), "-")
	return version
}

func dockerVersion() string {
	out, err := tryDocker(context.Background(), "version", "-f", "{{.Server.Version}}")
	if err != nil {
		return "?"
	}
	version, _, _ := strings.Cut(out, "+")
	return version
}
