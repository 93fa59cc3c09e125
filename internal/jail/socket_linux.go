package jail

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// conn is one end of a SOCK_SEQPACKET pair that carries JSON messages and
// descriptors between the server and a zygote or a slot.
type conn struct {
	c      *net.UnixConn
	text   []byte // of the message being received: one goroutine receives
	rights []byte
}

const maxMessage = 4 << 10

// newConn makes a pair; peer is the other end, to be passed on and closed.
func newConn(name string) (c *conn, peer *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	ours, peer := os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name+"-peer")
	defer ours.Close()
	nc, err := net.FileConn(ours)
	if err != nil {
		peer.Close()
		return nil, nil, fmt.Errorf("socket of %s: %w", name, err)
	}
	return &conn{
		c: nc.(*net.UnixConn), text: make([]byte, maxMessage), rights: make([]byte, unix.CmsgSpace(4*4)),
	}, peer, nil
}

func (c *conn) send(msg any, files ...*os.File) error {
	text, err := json.Marshal(msg)
	if err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	_, _, err = c.c.WriteMsgUnix(text, rights, nil)
	return err
}

// receive reads one message, and the descriptor that came with it, if any.
func (c *conn) receive(msg any) (*os.File, error) {
	text, rights := c.text, c.rights
	n, rn, _, _, err := c.c.ReadMsgUnix(text, rights)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, io.EOF
	}
	var file *os.File
	if rn > 0 {
		if file, err = firstFile(rights[:rn]); err != nil {
			return nil, err
		}
	}
	if err := json.Unmarshal(text[:n], msg); err != nil {
		if file != nil {
			file.Close()
		}
		return nil, fmt.Errorf("decode message: %w", err)
	}
	return file, nil
}

func firstFile(rights []byte) (*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	var first *os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return nil, err
		}
		for _, fd := range fds {
			if first == nil {
				unix.CloseOnExec(fd)
				first = os.NewFile(uintptr(fd), "pidfd")
				continue
			}
			_ = unix.Close(fd)
		}
	}
	if first == nil {
		return nil, errors.New("control message without a descriptor")
	}
	return first, nil
}

func (c *conn) close() { _ = c.c.Close() }
