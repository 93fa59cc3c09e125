package jail

import (
	"bufio"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// pipes are the four channels of one child: our ends, and the child's until
// they have been passed on.
type pipes struct {
	request, stdout, stderr, result *os.File      // ours
	frames                          *bufio.Reader // of result: a short run is one read
	theirs                          []*os.File
}

// newPipes makes the channels. The child's ends block, ours do not: each end
// of a pipe is an open file description of its own, so O_NONBLOCK on one is
// not seen on the other.
func newPipes() (*pipes, error) {
	p := &pipes{}
	for _, end := range []struct {
		ours  **os.File
		write bool
		name  string
	}{{&p.request, true, "request"}, {&p.stdout, false, "stdout"}, {&p.stderr, false, "stderr"}, {&p.result, false, "result"}} {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			p.close()
			return nil, fmt.Errorf("pipe: %w", err)
		}
		our, their := fds[0], fds[1]
		if end.write {
			our, their = fds[1], fds[0]
		}
		if err := unix.SetNonblock(our, true); err != nil {
			_, _ = unix.Close(our), unix.Close(their)
			p.close()
			return nil, fmt.Errorf("pipe: %w", err)
		}
		*end.ours = os.NewFile(uintptr(our), end.name)
		p.theirs = append(p.theirs, os.NewFile(uintptr(their), end.name))
	}
	p.frames = bufio.NewReaderSize(p.result, 1<<10)
	return p, nil
}

func (p *pipes) closeTheirs() {
	for _, f := range p.theirs {
		f.Close()
	}
	p.theirs = nil
}

func (p *pipes) close() {
	p.closeTheirs()
	for _, f := range []*os.File{p.request, p.stdout, p.stderr, p.result} {
		if f != nil {
			f.Close()
		}
	}
}
