package jail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// zygote is one warm interpreter.
type zygote struct {
	name     string
	conn     *conn
	python   string
	packages map[string]string

	mu   sync.Mutex // one order at a time
	gone chan struct{}
}

type zygoteMessage struct {
	Op      string            `json:"op"`
	Python  string            `json:"python"`
	Modules map[string]string `json:"modules"`
	Detail  string            `json:"detail"`
}

// awaitReady reads the zygote's first word; then a goroutine notices its end.
func (z *zygote) awaitReady(j *Jail, timeout time.Duration) error {
	_ = z.conn.c.SetReadDeadline(time.Now().Add(timeout))
	var msg zygoteMessage
	if _, err := z.conn.receive(&msg); err != nil {
		return fmt.Errorf("zygote %s did not become ready: %w", z.name, err)
	}
	if msg.Op != "ready" {
		return fmt.Errorf("zygote %s: %s", z.name, msg.Detail)
	}
	_ = z.conn.c.SetReadDeadline(time.Time{})
	z.python, z.packages = msg.Python, msg.Modules
	j.wg.Go(func() {
		defer close(z.gone)
		for {
			var msg zygoteMessage
			if _, err := z.conn.receive(&msg); err != nil {
				return
			}
		}
	})
	return nil
}

// grow forks a zygote from z that imports more.
func (z *zygote) grow(j *Jail, name string, modules []string, timeout time.Duration) (*zygote, error) {
	c, peer, err := newConn("zygote-" + name)
	if err != nil {
		return nil, err
	}
	err = z.order(map[string]any{"op": "grow", "modules": modules}, peer)
	peer.Close()
	child := &zygote{name: name, conn: c, gone: make(chan struct{})}
	if err == nil {
		err = child.awaitReady(j, timeout)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	switch Kind(name) { // the standard library's version is Python's
	case Base:
		child.packages = nil
	case Net:
		child.packages = map[string]string{"requests": child.packages["requests"]}
	}
	return child, nil
}

func (z *zygote) order(msg any, peers ...*os.File) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.conn.send(msg, peers...)
}

// ErrZygoteGone means that there is no zygote to fork from; a new one is
// being started.
var ErrZygoteGone = errors.New("the zygote is gone")

// slot forks a slot from z, a zygote of g.
func (z *zygote) slot(ctx context.Context, g *generation, egress bool) (*Slot, error) {
	if !g.hold() {
		return nil, ErrZygoteGone
	}
	j := g.jail
	id := j.nextSlot()
	release := func() {
		j.freeSlot(id)
		g.release()
	}
	c, peer, err := newConn("slot")
	if err != nil {
		release()
		return nil, err
	}
	s := &Slot{jail: j, generation: g, zygote: Kind(z.name), conn: c, exits: make(chan exit, 1), gone: make(chan struct{}), release: release, egress: egress}
	err = z.order(map[string]any{"op": "slot", "id": id, "egress": egress}, peer)
	peer.Close()
	if err != nil {
		c.close()
		release()
		return nil, fmt.Errorf("%w: %w", ErrZygoteGone, err)
	}
	ctx, cancel := context.WithTimeout(ctx, j.opts.SpawnTimeout)
	defer cancel()
	if err := s.start(ctx); err != nil {
		s.Close()
		if errors.Is(err, errSlotGone) && z.isGone(ctx) {
			return nil, fmt.Errorf("%w: %w", ErrZygoteGone, err)
		}
		return nil, fmt.Errorf("start slot: %w", err)
	}
	if j.cgroups != nil {
		// The slot joins, and its children are born there: joining waits for
		// all CPUs, which on an idle machine takes milliseconds.
		if s.group, err = j.newGroup(id); err == nil {
			err = s.conn.send(map[string]string{"op": "join"}, s.group.ProcsFiles()...)
		}
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("cgroup of a slot: %w", err)
		}
	}
	return s, nil
}

// isGone says whether z is gone or going: its slots may be seen to end first.
func (z *zygote) isGone(ctx context.Context) bool {
	select {
	case <-z.gone:
		return true
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
	}
	return false
}
