package corpus

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

const (
	probeEvery   = 100 * time.Millisecond
	probeLimit   = time.Second
	probeGoesOn  = 2 * time.Second // after the last script
	probeGiveUp  = 10 * time.Second
	failuresKept = 5
)

// prober asks /health every 100 ms, each probe on its own so that a slow one
// hides no other, and watches the memory of the server.
type prober struct {
	url    string
	pid    int // 0 when not known
	client *http.Client
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu        sync.Mutex
	probes    int
	bad       []string
	badTotal  int
	slowest   time.Duration
	startRSS  int64
	peakRSS   int64
	recentRSS int64 // the peak since again was called
}

func startProber(baseURL string, pid int) *prober {
	ctx, stop := context.WithCancel(context.Background())
	p := &prober{url: baseURL + "/health", pid: pid, stop: stop, client: &http.Client{Timeout: probeGiveUp, Transport: &http.Transport{}}}
	if pid != 0 {
		p.startRSS = e2etest.RSS(pid)
	}
	p.done.Go(func() {
		tick := time.NewTicker(probeEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				p.done.Go(p.probe)
			}
		}
	})
	return p
}

func (p *prober) probe() {
	start := time.Now()
	resp, err := p.client.Get(p.url)
	status := 0
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		status = resp.StatusCode
	}
	took := time.Since(start)

	p.mu.Lock()
	defer p.mu.Unlock()
	p.probes++
	p.slowest = max(p.slowest, took)
	if p.pid != 0 {
		now := e2etest.RSS(p.pid)
		p.peakRSS, p.recentRSS = max(p.peakRSS, now), max(p.recentRSS, now)
	}
	if status == http.StatusOK && took <= probeLimit {
		return
	}
	p.badTotal++
	if len(p.bad) < failuresKept {
		p.bad = append(p.bad, fmt.Sprintf("/health at %s: status %d after %v, %v", start.Format("15:04:05.000"), status, took.Round(time.Millisecond), err))
	}
}

// take returns the failures since the last call.
func (p *prober) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	bad := p.bad
	if p.badTotal > len(bad) {
		bad = append(bad, fmt.Sprintf("… %d bad probes of %d in all", p.badTotal, p.probes))
	}
	p.bad, p.badTotal = nil, 0
	return bad
}

// again forgets the peak for growth, so that the next script is not charged
// with it. Where growth is counted from stays.
func (p *prober) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recentRSS = 0
}

// growth is how much the server's memory grew at its peak since again was
// called, also when no probe fell into that time; mostGrowth, since the start.
func (p *prober) growth() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid != 0 {
		p.recentRSS = max(p.recentRSS, e2etest.RSS(p.pid))
	}
	return max(0, p.recentRSS-p.startRSS)
}

func (p *prober) mostGrowth() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, p.peakRSS-p.startRSS)
}

func (p *prober) close() {
	p.stop()
	p.done.Wait()
}
