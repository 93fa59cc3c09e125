package jail

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/python-code-executor/pyexec/internal/cgroup"
	"github.com/python-code-executor/pyexec/internal/wire"
)

// Slot is a process of the jail that forks one child at a time. The caller
// drives it in turns: Prepare, Run, Settle, and again; or Close.
type Slot struct {
	jail       *Jail
	generation *generation
	zygote     Kind   // that it was forked from
	wanted     Kind   // that was asked for
	release    func() // gives the slot's number and its hold on the generation back
	closeOnce  sync.Once
	conn       *conn
	pidfd      *os.File // of the slot; nil where the kernel has none
	group      *cgroup.Group

	exits chan exit     // the end of the current child, from the slot
	gone  chan struct{} // closed when the slot is no more

	mu      sync.Mutex
	why     error    // set before gone is closed
	childFD *os.File // pidfd of the current child

	pipes  *pipes // of the ready child; nil between Run and Prepare
	policy string // instead of the jail's, for the self-test

	egress   bool         // its children reach the proxy
	listener net.Listener // of the ready child's network; nil without egress
}

// exit is the kernel's word on how a child ended.
type exit struct {
	Status   unix.WaitStatus
	CPU      time.Duration
	MaxRSSKB int64
}

type slotMessage struct {
	Op       string `json:"op"`
	Status   int    `json:"status"`
	UserUS   int64  `json:"user_us"`
	SystemUS int64  `json:"system_us"`
	MaxRSSKB int64  `json:"max_rss_kb"`
	Step     string `json:"step"`
	Errno    string `json:"errno"`
	Detail   string `json:"detail"`
}

// errSlotGone is what a slot that closed its socket leaves behind.
var errSlotGone = errors.New("slot is gone")

// start reads the slot's first message and then listens until it is gone.
func (s *Slot) start(ctx context.Context) error {
	first := make(chan error, 1)
	s.jail.wg.Go(func() { s.listen(first) })
	select {
	case err := <-first:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Slot) listen(first chan<- error) {
	defer close(s.gone)
	for {
		var msg slotMessage
		file, err := s.conn.receive(&msg)
		if err != nil {
			s.fail(errSlotGone)
			first <- fmt.Errorf("%w: %w", errSlotGone, err)
			return
		}
		switch msg.Op {
		case "hello":
			s.pidfd = file
			first <- nil
			first = make(chan error, 1)
		case "child":
			s.setChild(file)
		case "exit":
			s.setChild(nil)
			s.exits <- exit{
				Status: unix.WaitStatus(msg.Status), MaxRSSKB: msg.MaxRSSKB, //nolint:gosec // bounded far below
				CPU: time.Duration(msg.UserUS+msg.SystemUS) * time.Microsecond,
			}
		case "failed":
			err := &wire.StepFailed{Step: msg.Step, Errno: msg.Errno, Detail: msg.Detail}
			s.fail(err)
			first <- err
			s.conn.close()
			return
		}
	}
}

func (s *Slot) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == nil {
		s.why = err
	}
}

func (s *Slot) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

func (s *Slot) setChild(pidfd *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.childFD != nil {
		s.childFD.Close()
	}
	s.childFD = pidfd
}

// kill ends the current child. The pidfd cannot hit anybody else: a number
// that has been used again is not what it refers to.
func (s *Slot) kill() {
	s.mu.Lock()
	fd := s.childFD
	if fd != nil {
		_ = unix.PidfdSendSignal(int(fd.Fd()), unix.SIGKILL, nil, 0)
	}
	s.mu.Unlock()
	if fd == nil {
		_ = s.conn.send(map[string]string{"op": "kill"})
	}
}

// Prepare forks a child and returns when it is confined and waits for a run.
func (s *Slot) Prepare(ctx context.Context) error {
	p, err := newPipes()
	if err != nil {
		return err
	}
	if s.group != nil {
		if err := s.group.Reset(); err != nil {
			p.close()
			return err
		}
	}
	var hand *conn // by which the child gives its listener
	if s.egress {
		if hand, err = p.addHand(); err != nil {
			p.close()
			return err
		}
		defer hand.close()
	}
	if err := s.conn.send(map[string]string{"op": "spawn"}, p.theirs...); err != nil {
		p.close()
		return s.lost(err)
	}
	p.closeTheirs()
	deadline := time.Now().Add(s.jail.opts.SpawnTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	_ = p.result.SetReadDeadline(deadline)
	defer context.AfterFunc(ctx, func() { _ = p.result.SetReadDeadline(time.Unix(1, 0)) })()
	if err := wire.ReadReady(p.frames); err != nil {
		p.close()
		s.jail.confined(err)
		return s.lost(err)
	}
	if s.egress {
		if s.listener, err = takeListener(hand); err != nil {
			p.close()
			return s.lost(err)
		}
	}
	s.jail.confined(nil)
	_ = p.result.SetReadDeadline(time.Time{})
	s.pipes = p
	return nil
}

// lost explains a failed exchange by the slot's own end, if it has ended.
func (s *Slot) lost(err error) error {
	select {
	case <-s.gone:
		return s.reason()
	case <-time.After(50 * time.Millisecond):
		return fmt.Errorf("child did not become ready: %w", err)
	}
}

// Settle waits until the child of the last run has been reaped and all that
// it had is gone; an error means that the slot cannot be used again.
func (s *Slot) Settle(ctx context.Context) error {
	select {
	case <-s.exits:
		return nil
	case <-s.gone:
		return s.reason()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stale says that the slot's zygote has been replaced, or that the one that was
// asked for is there by now: the slot is not to be used again.
func (s *Slot) Stale() bool {
	return s.generation.isRetired() ||
		s.zygote == Bare && s.wanted == Base && s.generation.ready(Base) != nil
}

// Gone is closed when the slot is no more.
func (s *Slot) Gone() <-chan struct{} { return s.gone }

// Close ends the slot with all that runs in it and waits until it is gone. A
// second Close waits for the first and does nothing: the slot's number may be
// another's by then.
func (s *Slot) Close() { s.closeOnce.Do(s.close) }

func (s *Slot) close() {
	s.conn.close()
	if s.listener != nil {
		_ = s.listener.Close()
		s.listener = nil
	}
	if s.pipes != nil {
		s.pipes.close()
		s.pipes = nil
	}
	<-s.gone
	if s.pidfd != nil {
		_ = unix.PidfdSendSignal(int(s.pidfd.Fd()), unix.SIGKILL, nil, 0)
		waitPidfd(s.pidfd, time.Second)
		s.pidfd.Close()
		s.pidfd = nil
	}
	s.endChild()
	if s.group != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := s.group.Close(ctx); err != nil {
			s.jail.log.Warn("cgroup was not removed", "error", err)
		}
		s.group = nil
	}
	s.release()
}

// endChild waits for the child of a slot that is gone. Without a pid namespace
// it dies after the slot, and could write where the next slot of this number
// has just looked.
func (s *Slot) endChild() {
	s.mu.Lock()
	child := s.childFD
	s.childFD = nil
	s.mu.Unlock()
	if child == nil {
		return
	}
	_ = unix.PidfdSendSignal(int(child.Fd()), unix.SIGKILL, nil, 0)
	waitPidfd(child, time.Second)
	child.Close()
}

// waitPidfd returns when the process has ended, or after the timeout.
func waitPidfd(pidfd *os.File, timeout time.Duration) {
	fds := []unix.PollFd{{Fd: int32(pidfd.Fd()), Events: unix.POLLIN}} //nolint:gosec // bounded far below
	deadline := time.Now().Add(timeout)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return
		}
		if _, err := unix.Poll(fds, int(left.Milliseconds())+1); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
