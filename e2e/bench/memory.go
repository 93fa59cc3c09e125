package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// memoryFigures are in MB (10^6 bytes), as the are.
type memoryFigures struct {
	Children int                `json:"ready_children"`
	Idle     float64            `json:"idle_pss_mb"`
	Tables   float64            `json:"idle_page_tables_mb"`
	ByRole   map[string]float64 `json:"idle_pss_by_role_mb"`
	PerReady map[string]float64 `json:"ready_pss_mb"`     // slot and child, by kind
	OwnReady map[string]float64 `json:"ready_private_mb"` // what only they have
	InFlight float64            `json:"pandas_in_flight_more_mb"`
}

// memory reads an idle server of its own, with its default settings: on two
// CPUs four children are ready for base, one for numpy, two for pandas, and
// the eighth is that of /health. The table has the number found.
func (b *bench) memory(ctx context.Context) (err error) {
	s, err := startServer(ctx, b.options)
	if err != nil {
		return err
	}
	defer func() {
		if stopped := s.stop(); err == nil {
			err = stopped
		}
	}()
	t := &httpTarget{title: "pyexec", url: s.url, call: adapters["pyexec"], python: b.python, client: newClient()}
	defer t.close()
	if _, err := s.firstAnswer(ctx, t, pandasGroup); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	idle, err := inspect(s.tree(), s.pid)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: memory is not measured:", err)
		return nil
	}
	b.report.Memory = sumUp(idle)
	b.report.Memory.InFlight, err = inFlight(ctx, s, t, idle)
	return err
}

func mb(n int64) float64 { return float64(n) / 1e6 }

func sumUp(all []process) *memoryFigures {
	f := &memoryFigures{ByRole: map[string]float64{}, PerReady: map[string]float64{}, OwnReady: map[string]float64{}}
	slots := map[int]process{}
	for _, p := range all {
		f.Idle += mb(p.pss)
		f.Tables += mb(p.tables)
		f.ByRole[p.role] += mb(p.pss)
		if p.role == "slot" {
			slots[p.pid] = p
		}
	}
	counts := map[string]float64{}
	for _, p := range all {
		if slot, ok := slots[p.parent]; ok && p.role == "child" {
			f.Children++
			counts[p.kind]++
			f.PerReady[p.kind] += mb(p.pss + slot.pss)
			f.OwnReady[p.kind] += mb(p.own + slot.own)
		}
	}
	for kind, n := range counts {
		f.PerReady[kind] /= n
		f.OwnReady[kind] /= n
	}
	return f
}

// inFlight runs two pandas scripts that then sleep, and finds how much their
// children have grown.
func inFlight(ctx context.Context, s *server, t target, idle []process) (float64, error) {
	const runs = 2
	var wg sync.WaitGroup
	errs := make(chan error, runs)
	for range runs {
		wg.Go(func() {
			_, err := t.run(ctx, sleeper)
			errs <- err
		})
	}
	pause(ctx, 1500*time.Millisecond)
	busy, err := inspect(s.tree(), s.pid)
	wg.Wait()
	close(errs)
	for e := range errs {
		if err == nil {
			err = e
		}
	}
	before := map[int]process{}
	for _, p := range idle {
		before[p.pid] = p
	}
	// Of the children that were ready before, those that run are the ones
	// that grew. Their private pages count, as those are the ones that did
	// not exist before: PSS moves with the number of others that share.
	var grown samples
	for _, p := range busy {
		if old, ok := before[p.pid]; ok && p.role == "child" && p.kind == "pandas" {
			grown = append(grown, mb(p.own-old.own))
		}
	}
	if err == nil && len(grown) < runs {
		err = fmt.Errorf("the children of %d runs were not found", runs)
	}
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for i := range runs {
		sum += grown.Percentile(100 - 100*float64(i)/float64(len(grown)))
	}
	return sum / runs, nil
}

// state is what must not grow with the number of runs.
type state struct {
	Runs      int     `json:"runs"`
	PSS       float64 `json:"pss_mb"`
	Server    float64 `json:"server_pss_mb"`
	Processes int     `json:"processes"`
	Files     int     `json:"server_descriptors"`
	Groups    int     `json:"cgroups"`
	Mounts    int     `json:"mounts"`
}

func (b *bench) state(runs int) state {
	st := state{Runs: runs}
	all, _ := inspect(b.server.tree(), b.server.pid)
	for _, p := range all {
		st.Processes++
		st.PSS += mb(p.pss)
		if p.role == "server" {
			st.Server += mb(p.pss)
		}
	}
	count := func(pattern string) int { found, _ := filepath.Glob(pattern); return len(found) }
	st.Files = count(fmt.Sprintf("/proc/%d/fd/*", b.server.pid))
	for _, depth := range []string{"*", "*/*", "*/*/*", "*/*/*/*"} {
		st.Groups += count(filepath.Join("/sys/fs/cgroup", depth, fmt.Sprintf("pyexec-*-%d-*", b.server.pid)))
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for _, c := range mounts {
		if c == '\n' {
			st.Mounts++
		}
	}
	return st
}

// flat runs hello, and pandas in one of ten, from four clients, and compares
// the state before and after.
func (b *bench) flat(ctx context.Context) error {
	if err := b.many(ctx, 200); err != nil { // so that pools have their working size
		return err
	}
	settled := func(runs int) error {
		b.ours.client.CloseIdleConnections()
		if err := b.server.settle(ctx); err != nil {
			return err
		}
		b.report.Flat = append(b.report.Flat, b.state(runs))
		return nil
	}
	if err := settled(0); err != nil {
		return err
	}
	const parts = 4
	for part := 1; part <= parts; part++ {
		if err := b.many(ctx, b.runs*part/parts-b.runs*(part-1)/parts); err != nil {
			return err
		}
		if err := settled(b.runs * part / parts); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) many(ctx context.Context, runs int) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, 4)
	for range cap(errs) {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(runs); n = next.Add(1) {
				w := hello
				if n%10 == 0 {
					w = pandasGroup
				}
				if _, err := b.ours.run(ctx, w); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}
