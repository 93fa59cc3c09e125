package egress

import (
	"fmt"
	"sync"
	"testing"
)

// TestNothingIsLeft: after runs that end in every way with connections open,
// no process, descriptor, cgroup or namespace of theirs remains.
func TestNothingIsLeft(t *testing.T) {
	w := inWorld(t)
	s, _ := start(t, "--egress=www.example.com,unreachable.example.com", "--timeout=2s")
	before := s.Settle()
	var wg sync.WaitGroup
	for _, try := range []string{
		`get("https://www.example.com/")`, `plain("http://www.example.com/slow")`, `connect("www.example.com:80", b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")`,
		`os.kill(os.getpid(), 9)`, `[socket.create_connection(PROXY) for _ in range(100)]`, `(socket.create_connection(PROXY).send(b"GET http://www.example.com/slow HTTP/1.1\r\nHost: x\r\n\r\n"), os._exit(3))`,
		`raw("CONNECT www.example.com:443 HTTP/1.1\r\n")`, `get("http://unreachable.example.com/")`, `1 / 0`,
	} {
		wg.Go(func() {
			for range 4 {
				execute(t, s, fmt.Sprintf(tools, try), trusting(w))
			}
		})
	}
	wg.Wait()
	s.AssertClean(t, before)
	w.endless.Wait()
}
