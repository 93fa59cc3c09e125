package httpapi_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/internal/httpapi"
)

// TestAClientThatSendsAllFirstReadsWhy: many clients read only after they
// have sent a whole body, which a closed connection would not let them.
func TestAClientThatSendsAllFirstReadsWhy(t *testing.T) {
	addr := serve(t, httpapi.Options{Executor: &fake{}})
	for name, head := range map[string]string{
		"announced": "Content-Length: 20000000\r\n\r\n",
		"chunked":   "Transfer-Encoding: chunked\r\n\r\n1312d00\r\n",
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, err = io.WriteString(conn, "POST /execute HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+head+strings.Repeat("x", 20_000_000)+"\r\n0\r\n\r\n")
		if err != nil {
			t.Errorf("%s: send: %v", name, err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // the connection is closed with it
		if err != nil {
			t.Errorf("%s: read: %v", name, err)
		} else if res.StatusCode != http.StatusRequestEntityTooLarge || !res.Close {
			t.Errorf("%s: answered %s, close %v", name, res.Status, res.Close)
		}
		_ = conn.Close()
	}
}

// TestContinueIsSentOnlyToAcceptableHeaders has the body held back.
func TestContinueIsSentOnlyToAcceptableHeaders(t *testing.T) {
	addr := serve(t, httpapi.Options{Executor: &fake{}})
	for headers, want := range map[string]string{
		"Content-Type: application/json\r\nContent-Length: 40\r\n":       "HTTP/1.1 100 Continue",
		"Content-Type: application/json\r\nContent-Length: 99999999\r\n": "HTTP/1.1 413 Request Entity Too Large",
		"Content-Type: text/plain\r\nContent-Length: 40\r\n":             "HTTP/1.1 415 Unsupported Media Type",
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.WriteString(conn, "POST /execute HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"+headers+"\r\n"); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(conn).ReadString('\n')
		if strings.TrimSpace(line) != want {
			t.Errorf("%q is answered %q, want %q", headers, line, want)
		}
		_ = conn.Close()
	}
}

// TestARunOutlivesTheBodyTimeout: the deadline of the body is not that of the
// wait and the run.
func TestARunOutlivesTheBodyTimeout(t *testing.T) {
	addr := serve(t, httpapi.Options{Executor: &fake{}, BodyTimeout: 100 * time.Millisecond})
	const body = `{"script":"import time\ndef main(s):\n    time.sleep(s)\n    return s","input":0.4}`
	for range 2 { // the second on the same connection
		res, err := http.Post("http://"+addr+"/execute", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if want := `{"result":0.4,"stdout":""}`; res.StatusCode != http.StatusOK || string(got) != want {
			t.Errorf("answered %d %s, want 200 %s", res.StatusCode, got, want)
		}
	}
}
