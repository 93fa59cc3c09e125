package badrequests

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/python-code-executor/pyexec/e2e/contract"
)

// answer is what came back; status closed means nothing did.
type answer struct {
	status int
	header http.Header
	body   string
	rest   []byte // what came after it, for rows that look
}

// send writes raw on a new connection and reads one answer.
func (s *suite) send(t *testing.T, raw string) answer {
	t.Helper()
	return s.exchange(t, raw, false)
}

// exchange is send; with rest it also reads what follows the answer until the
// server closes, or for a moment.
func (s *suite) exchange(t *testing.T, raw string, rest bool) answer {
	t.Helper()
	conn := s.dial(t)
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, raw) }() // it may answer before it has read all
	br := bufio.NewReader(conn)
	a := readOne(t, br, strings.HasPrefix(raw, "HEAD "))
	s.documented(t, raw, a)
	if rest {
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		a.rest, _ = io.ReadAll(br)
	}
	return a
}

// documented holds an answer of the server, and not of net/http itself, to the
// server's document.
func (s *suite) documented(t *testing.T, raw string, a answer) {
	t.Helper()
	if a.header.Get("X-Request-Id") == "" {
		return
	}
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Errorf("the server's own answer %d to what is no request: %v", a.status, err)
		return
	}
	err = contract.Check("http://"+s.addr, contract.Exchange{
		Method: req.Method, Path: req.URL.EscapedPath(), Status: a.status, Header: a.header, Body: []byte(a.body),
	})
	if err != nil {
		t.Error(err)
	}
}

func (s *suite) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", s.addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func readOne(t *testing.T, br *bufio.Reader, head bool) answer {
	t.Helper()
	method := http.MethodPost
	if head {
		method = http.MethodHead
	}
	res, err := http.ReadResponse(br, &http.Request{Method: method}) //nolint:bodyclose // read whole below; the connection is closed by its owner
	for err == nil && res.StatusCode == http.StatusContinue {
		res, err = http.ReadResponse(br, &http.Request{Method: method}) //nolint:bodyclose // as above
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return answer{}
	case err != nil:
		t.Errorf("read the answer: %v", err)
		return answer{}
	}
	body, err := io.ReadAll(res.Body)
	if err != nil && res.Header.Get("X-Request-Id") != "" { // net/http's own answers may be cut by a reset
		t.Errorf("read the answer's body: %v", err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: string(body)}
	if !head && strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		a.wellFormed(t)
	}
	return a
}

// wellFormed is row 111: a strict and a lenient parser agree, and row 110:
// nothing can take the answer for something else than JSON.
func (a answer) wellFormed(t *testing.T) {
	t.Helper()
	if !json.Valid([]byte(a.body)) || !jsontext.Value(a.body).IsValid() || !utf8.ValidString(a.body) {
		t.Errorf("the answer is not strictly JSON: %.300q", a.body)
	}
	if a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Error("the answer lacks nosniff")
	}
	if id := a.header.Get("X-Request-Id"); id == "" || len(id) > 64 {
		t.Errorf("the answer has the request id %q", id)
	}
}

func (a answer) error() (kind, message string) {
	var body struct {
		Error struct{ Type, Message string }
	}
	_ = json.Unmarshal([]byte(a.body), &body)
	return body.Error.Type, body.Error.Message
}

// want checks status and error type. Answers of net/http itself are plain
// text and have no type.
func (a answer) want(t *testing.T, kind string, status ...int) {
	t.Helper()
	got, message := a.error()
	if !slices.Contains(status, a.status) {
		t.Errorf("answered %d %.300s, want %v", a.status, a.body, status)
	}
	if kind != "" && got != kind && a.status != closed {
		t.Errorf("error type %q, want %q: %.300s", got, kind, a.body)
	}
	if got != "" && (message == "" || len(message) > 1024) {
		t.Errorf("message of %d bytes: %.300s", len(message), message)
	}
}

// post is a whole request with the usual headers and then extra ones.
func post(body string, extra ...string) string {
	return request("POST", "/execute", body, append(extra, "Content-Type: application/json")...)
}

func request(method, target, body string, headers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: x\r\n", method, target)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" || method == "POST" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	return b.String() + "\r\n" + body
}

// script is the body that runs source with the given input, which is JSON.
func script(source, input string) string {
	quoted, err := jsontext.AppendQuote(nil, source)
	if err != nil {
		panic(err)
	}
	return `{"script":` + string(quoted) + `,"input":` + input + `}`
}

// echo is a plain request, with more headers if given, that returns input.
func echo(input string, extra ...string) string { return post(script(ScriptEcho, input), extra...) }

// contains checks that the body has text.
func contains(text string) func(*testing.T, answer) {
	return func(t *testing.T, a answer) {
		t.Helper()
		if !strings.Contains(a.body, text) {
			t.Errorf("the answer lacks %q: %.500s", text, a.body)
		}
	}
}
