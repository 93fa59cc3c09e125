package egress

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// quickAck makes the kernel acknowledge what was received at once; it must be
// asked each time. urllib3 leaves Nagle's algorithm on for proxies: the first
// request after a TLS handshake would wait 40 ms for a delayed acknowledgement.
type quickAck struct{ raw syscall.RawConn }

func newQuickAck(c net.Conn) quickAck {
	if tcp, ok := c.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			return quickAck{raw}
		}
	}
	return quickAck{}
}

func (q quickAck) now() {
	if q.raw != nil {
		// Without it everything is right, and later.
		_ = q.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
	}
}
