package corpus

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const (
	canaryFile     = "/var/tmp/corpus-host-canary"
	canarySocket   = "/var/tmp/corpus-host-canary.sock"
	canaryAbstract = "@corpus-host-canary"
	canaryAddr     = "127.0.0.1:39999"
	canaryPort     = 39999
	canaryPatience = 5 * time.Minute // another corpus may be running

	afVsock       = 40
	vmaddrCIDAny  = 0xffffffff
	sockNonblock  = syscall.SOCK_NONBLOCK | syscall.SOCK_CLOEXEC
	vsockAddrSize = 16
)

// Canaries stand on the host for everything that a run must not reach: a file
// that anybody may write, a secret, and listeners that wait for a connection.
type Canaries struct {
	Secret string // put CORPUS_CANARY_SECRET=Secret in the server's environment
	Notes  []string

	content string
	file    os.FileInfo
	closers []func() error
	vsock   int

	mu   sync.Mutex
	hits []string
}

// NewCanaries sets them up. The caller closes them.
func NewCanaries() (*Canaries, error) {
	c := &Canaries{Secret: "canary-" + random(), vsock: -1}
	c.content = "corpus-host-canary " + random() + "\n"
	if err := c.lock(); err != nil {
		return nil, err
	}
	if err := c.listen(); err != nil {
		c.Close()
		return nil, err
	}
	if err := c.writeFile(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// lock waits for whoever else has canaries on this machine: the names are the
// same, and another may be in a network namespace of its own, where the port is
// free.
func (c *Canaries) lock() error {
	f, err := os.OpenFile(canaryFile+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(canaryPatience); ; time.Sleep(200 * time.Millisecond) {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("canaries of another run: %w", err)
	}
	c.closers = append(c.closers, f.Close)
	return nil
}

func random() string {
	var b [12]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// Secrets are the texts that no answer may hold.
func (c *Canaries) Secrets() []string {
	return []string{c.Secret, c.content[len("corpus-host-canary ") : len(c.content)-1]}
}

func (c *Canaries) writeFile() error {
	if err := os.WriteFile(canaryFile, []byte(c.content), 0o666); err != nil {
		return err
	}
	c.closers = append(c.closers, func() error { return os.Remove(canaryFile) })
	if err := os.Chmod(canaryFile, 0o666); err != nil { // past the umask: only the sandbox protects it
		return err
	}
	var err error
	c.file, err = os.Stat(canaryFile)
	return err
}

func (c *Canaries) listen() error {
	deadline := time.Now().Add(canaryPatience)
	tcp, err := net.Listen("tcp", canaryAddr)
	for errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(deadline) {
		time.Sleep(200 * time.Millisecond)
		tcp, err = net.Listen("tcp", canaryAddr)
	}
	if err != nil {
		return fmt.Errorf("the canary's port: %w", err)
	}
	c.serve("TCP", tcp)
	udp, err := net.ListenPacket("udp", canaryAddr)
	if err != nil {
		return err
	}
	c.closers = append(c.closers, udp.Close)
	go func() {
		for buf := make([]byte, 1500); ; {
			_, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			c.hit("UDP from " + from.String())
		}
	}()
	_ = os.Remove(canarySocket)
	for _, name := range []string{canaryAbstract, canarySocket} {
		unix, err := net.Listen("unix", name)
		if err != nil {
			return err
		}
		c.serve("unix "+name, unix)
	}
	if err := os.Chmod(canarySocket, 0o777); err != nil {
		return err
	}
	if err := c.listenVsock(); err != nil {
		c.Notes = append(c.Notes, "no vsock canary: "+err.Error())
	}
	return nil
}

func (c *Canaries) serve(name string, l net.Listener) {
	c.closers = append(c.closers, l.Close)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.hit(name + " from " + conn.RemoteAddr().String())
			conn.Close()
		}
	}()
}

// listenVsock listens on vsock without accepting: Hits looks.
func (c *Canaries) listenVsock() error {
	fd, err := syscall.Socket(afVsock, syscall.SOCK_STREAM|sockNonblock, 0)
	if err != nil {
		return err
	}
	addr := struct {
		family, reserved uint16
		port, cid        uint32
		rest             [4]byte
	}{family: afVsock, port: canaryPort, cid: vmaddrCIDAny}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&addr)), vsockAddrSize); errno != 0 {
		syscall.Close(fd)
		return errno
	}
	if err := syscall.Listen(fd, 8); err != nil {
		syscall.Close(fd)
		return err
	}
	c.vsock = fd
	c.closers = append(c.closers, func() error { return syscall.Close(fd) })
	return nil
}

func (c *Canaries) hit(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hits = append(c.hits, what)
}

// Check says what reached a canary since the last call.
func (c *Canaries) Check() []string {
	if c.vsock >= 0 {
		if fd, _, errno := syscall.RawSyscall(syscall.SYS_ACCEPT4, uintptr(c.vsock), 0, 0); errno == 0 {
			syscall.Close(int(fd))
			c.hit("vsock")
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []string
	for _, hit := range c.hits {
		found = append(found, "a run reached the canary: "+hit)
	}
	c.hits = nil
	text, err := os.ReadFile(canaryFile)
	now, statErr := os.Lstat(canaryFile)
	switch {
	case err != nil || statErr != nil:
		found = append(found, fmt.Sprintf("the host's canary file is gone: %v", err))
	case string(text) != c.content || now.Mode() != c.file.Mode() || !os.SameFile(now, c.file):
		found = append(found, "the host's canary file was changed")
	}
	return found
}

// Close takes everything away again.
func (c *Canaries) Close() {
	for _, f := range slices.Backward(c.closers) { // the lock last
		_ = f()
	}
	c.closers = nil
}
