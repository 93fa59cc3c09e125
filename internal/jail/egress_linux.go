package jail

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	pyexec "github.com/python-code-executor/pyexec"
)

// Egress serves what one run sends to the listening socket inside its network
// namespace. The jail calls stop when the run has ended, and knows nothing of
// what is served.
type Egress interface {
	Serve(listener net.Listener, req pyexec.Request) (stop func())
}

// EgressSlot is Slot for runs that may reach the network. Each of their
// children has a network namespace of its own.
func (j *Jail) EgressSlot(ctx context.Context, kind Kind) (*Slot, error) {
	if j.opts.Egress == nil {
		return nil, errors.New("bug: a slot with egress from a jail without")
	}
	return j.slot(ctx, kind, true)
}

// isolation is what is in force for the slot's children, where /health tells
// of those with egress and of those without.
func (s *Slot) isolation() pyexec.Isolation {
	iso := s.jail.Isolation()
	if s.jail.opts.Egress == nil {
		return iso
	}
	details := plainDetails
	if s.egress {
		details = egressDetails
	}
	iso.Layers = slices.Clone(iso.Layers)
	for i, l := range iso.Layers {
		if detail, ok := details[l.Name]; ok && l.Active {
			iso.Layers[i].Detail = detail
		}
	}
	return iso
}

const plainSockets = "no processes, no exec, no sockets but AF_UNIX"

// The layers that are not the same for runs with egress.
var (
	plainDetails  = map[string]string{"net_namespace": "", "seccomp": plainSockets}
	egressDetails = map[string]string{
		"net_namespace": "one for this run alone: a loopback, on which the proxy listens",
		"seccomp":       plainSockets + " and TCP",
	}
)

// errNoNetwork is why a level gives no egress. Without a network namespace the
// addresses that a run connects to would be the server's; Landlock knows ports
// of TCP and no addresses.
var errNoNetwork = errors.New("--egress needs a network namespace for each run, which this level has not; serve without --egress here; " + remedyNamespaces)

// attackEgress makes a child of the kind that reaches the proxy and attacks
// from inside it.
func (j *Jail) attackEgress(ctx context.Context, g *generation, s spec) error {
	if !slices.Contains(s.namespaces, "net") || !slices.Contains(s.namespaces, "user") {
		return errNoNetwork
	}
	found, err := j.attack(ctx, g, true)
	if err == nil && found.Attempts["proxy"] != "reached" {
		err = errors.New("the proxy cannot be reached from inside")
	}
	if err == nil {
		delete(found.Attempts, "proxy")
		delete(found.Attempts, "socket_inet")
		err = j.judge(s, found)
	}
	if err != nil {
		return fmt.Errorf("a run with egress: %w", err)
	}
	return nil
}

// addHand makes the socket by which a child hands over its listener.
func (p *pipes) addHand() (*conn, error) {
	ours, theirs, err := newConn("egress")
	if err != nil {
		return nil, err
	}
	p.theirs = append(p.theirs, theirs)
	return ours, nil
}

// handTime is far more than is needed for what a ready child has sent already.
const handTime = time.Second

// takeListener receives the listener. The child sent it before it had read a
// byte of a request; that it is what it should be is checked all the same,
// since the proxy serves whatever it is given.
func takeListener(hand *conn) (net.Listener, error) {
	_ = hand.c.SetReadDeadline(time.Now().Add(handTime))
	var nothing struct{}
	file, err := hand.receive(&nothing)
	if err != nil {
		return nil, fmt.Errorf("listener of a run: %w", err)
	}
	if file == nil {
		return nil, errors.New("listener of a run: none came")
	}
	defer file.Close()
	if err := isListener(file); err != nil {
		return nil, err
	}
	return net.FileListener(file)
}

func isListener(file *os.File) error {
	fd := int(file.Fd())
	for _, want := range []struct{ option, value int }{
		{unix.SO_DOMAIN, unix.AF_INET}, {unix.SO_TYPE, unix.SOCK_STREAM}, {unix.SO_ACCEPTCONN, 1},
	} {
		got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, want.option)
		if err != nil {
			return fmt.Errorf("listener of a run: %w", err)
		}
		if got != want.value {
			return fmt.Errorf("listener of a run: socket option %d is %d", want.option, got)
		}
	}
	return nil
}

// serveEgress serves a run's way out until the returned function is called.
func (s *Slot) serveEgress(req pyexec.Request) (stop func()) {
	if s.listener == nil {
		return func() {}
	}
	listener := s.listener
	s.listener = nil
	return s.jail.opts.Egress.Serve(listener, req)
}
