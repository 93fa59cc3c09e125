package corpus

import (
	"net"
	"testing"
)

func dialAndClose(t *testing.T, network, addr string) {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
