package corpus

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	distinctRuns  = 20
	tenantFactor  = 3
	tenantFloor   = 60 * time.Millisecond // a plain run may always take this: below it the machine's own noise is judged
	growthLimit   = 64 << 20
	memorySlack   = 32 << 20
	pairHeadStart = 200 * time.Millisecond
	pairTimes     = 3 // A before B in sequence, and twice as many of B: each slot gets its turn
)

// timeout is what a script asks for: short where it may end by it, so that
// the folder is done in reasonable time.
func (r *runner) timeout(s *Script) time.Duration {
	if s.Pair == "" && slices.ContainsFunc(s.Expect, func(e string) bool { return e == "error:timeout" }) {
		return r.options.Timeout
	}
	return r.options.Patience
}

func (r *runner) single(s *Script) {
	var failures []string
	var neighbour *neighbour
	if r.options.Alone && s.Has("tenant") {
		neighbour = r.startNeighbour()
	}
	a := r.client.run(s, r.timeout(s), r.options.Details)
	v := Judge(s, a, r.mode)
	failures = append(failures, v.Failures...)
	if neighbour != nil {
		failures = append(failures, neighbour.stop()...)
	}
	if s.Has("distinct") {
		failures = append(failures, r.distinct(s, a)...)
	}
	_, after := r.client.runPlain() // plain scripts between, whatever the tag: all of them must be right
	failures = append(failures, after...)
	if r.options.Alone {
		failures = append(failures, r.afterwards(s)...)
	}
	r.done(Outcome{Name: s.Name, Failures: failures, Unproven: v.Unproven, Answer: a.String(), Elapsed: a.Elapsed})
}

// afterwards checks what can be put down to one script only when it ran alone.
func (r *runner) afterwards(s *Script) []string {
	var failures []string
	if s.Has("health") {
		time.Sleep(r.options.Linger)
	}
	failures = append(failures, r.probe.take()...)
	failures = append(failures, r.leftovers()...)
	if r.options.Canaries != nil {
		failures = append(failures, r.options.Canaries.Check()...)
	}
	if growth := r.probe.growth(); s.Has("mem") && growth > growthLimit {
		failures = append(failures, fmt.Sprintf("the server grew by %d MB", growth>>20))
	}
	r.probe.again()
	if s.Has("mem") && r.options.Peak != nil {
		peak, err := r.options.Peak()
		if err != nil || peak > 512<<20+memorySlack {
			failures = append(failures, fmt.Sprintf("memory peak %d MB, %v", peak>>20, err))
		}
	}
	return failures
}

// neighbour runs plain scripts while something else runs.
type neighbour struct {
	stopped chan struct{}
	done    sync.WaitGroup
	usual   time.Duration
	took    []time.Duration
	bad     []string
}

func (r *runner) startNeighbour() *neighbour {
	n := &neighbour{stopped: make(chan struct{}), usual: r.usual}
	n.done.Go(func() {
		for {
			took, failures := r.client.runPlain()
			n.took = append(n.took, took)
			n.bad = append(n.bad, failures...)
			select {
			case <-n.stopped:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return n
}

func (n *neighbour) stop() []string {
	close(n.stopped)
	n.done.Wait()
	if m := median(n.took); m > max(tenantFactor*n.usual, tenantFloor) {
		n.bad = append(n.bad, fmt.Sprintf("a plain run beside it took %v, %v when alone", m.Round(time.Millisecond), n.usual.Round(time.Millisecond)))
	}
	return n.bad
}

// distinct runs a script more often: no value may repeat.
func (r *runner) distinct(s *Script, first *Answer) []string {
	seen := map[string]string{} // path and value
	var failures []string
	for i := range distinctRuns {
		a := first
		if i > 0 {
			a = r.client.run(s, r.timeout(s), r.options.Details)
		}
		result, ok := a.object()["result"]
		if !ok {
			return append(failures, fmt.Sprintf("distinct: run %d: %s", i, a))
		}
		for path, value := range leaves("$", result) {
			key := path + " = " + value
			if _, twice := seen[key]; twice {
				failures = append(failures, "distinct: two runs have "+key)
			}
			seen[key] = value
		}
	}
	return failures
}

// leaves are the numbers and texts of a JSON value by their path.
func leaves(path string, v any) map[string]string {
	found := map[string]string{}
	var walk func(string, any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case json.Number:
			found[path] = string(v)
		case string:
			found[path] = v
		case []any:
			for i, e := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), e)
			}
		case map[string]any:
			for key, e := range v {
				walk(path+"."+key, e)
			}
		}
	}
	walk(path, v)
	return found
}

// pair runs two scripts as their order says and judges every answer.
func (r *runner) pair(a, b *Script) {
	first := Outcome{Name: a.Name}
	second := Outcome{Name: b.Name}
	var mu sync.Mutex
	judge := func(s *Script, into *Outcome) {
		answer := r.client.run(s, r.timeout(s), r.options.Details)
		v := Judge(s, answer, r.mode)
		mu.Lock()
		defer mu.Unlock()
		into.Failures = append(into.Failures, v.Failures...)
		into.Unproven = into.Unproven || v.Unproven
		into.Elapsed = max(into.Elapsed, answer.Elapsed)
		if into.Answer == "" || v.Failures != nil {
			into.Answer = answer.String()
		}
	}
	if a.Order != Concurrent {
		atOnce(pairTimes, func() { judge(a, &first) })
		for range 2 {
			atOnce(pairTimes, func() { judge(b, &second) })
		}
	}
	if a.Order != Sequential {
		var running sync.WaitGroup
		running.Go(func() { judge(a, &first) })
		time.Sleep(pairHeadStart)
		for range pairTimes {
			judge(b, &second)
		}
		running.Wait()
	}
	_, after := r.client.runPlain()
	second.Failures = append(second.Failures, after...)
	if r.options.Alone {
		second.Failures = append(second.Failures, r.afterwards(b)...)
	}
	r.done(first)
	r.done(second)
}

func atOnce(n int, do func()) {
	var all sync.WaitGroup
	for range n {
		all.Go(do)
	}
	all.Wait()
}
