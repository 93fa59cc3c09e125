// Package contract holds every exchange of a test with a server to the OpenAPI
// document that the server itself serves: the status and the media type must
// be among those of the operation, the body must be what its schema says, the
// headers those that are written down, and a request that was run must have
// been one that the document allows.
//
// Clients of tests get it as their [Transport]; who writes raw bytes calls
// [Check].
package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Exchange is a request and its answer.
type Exchange struct {
	Method, Path string
	Request      []byte // nil where it is not known
	Status       int
	Header       http.Header
	Body         []byte
	Stream       bool // the body is not here: it is read as it comes
}

// checked counts exchanges, so that a test can tell that it looked at some.
var checked atomic.Int64

// Checked is how many exchanges this process has held to a document.
func Checked() int64 { return checked.Load() }

// Check says in what an exchange with the server at base (http://host:port)
// departs from the server's document.
func Check(base string, x Exchange) error {
	doc, err := documentOf(base)
	if err != nil {
		return fmt.Errorf("contract: %w", err)
	}
	checked.Add(1)
	if err := doc.check(x); err != nil {
		return fmt.Errorf("contract: %s %s, %d: %w; the answer was %.500s", x.Method, x.Path, x.Status, err, x.Body)
	}
	return nil
}

// Transport checks what passes through it, and makes a departure from the
// document the error of the exchange.
type Transport struct {
	Base http.RoundTripper // nil: http.DefaultTransport
}

func (t Transport) next() http.RoundTripper {
	if t.Base == nil {
		return http.DefaultTransport
	}
	return t.Base
}

// CloseIdleConnections is what http.Client's method of this name calls: else
// they would stay, and count as left behind by the server's runs.
func (t Transport) CloseIdleConnections() {
	if c, ok := t.next().(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (t Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	var sent []byte
	if req.GetBody != nil {
		if body, err := req.GetBody(); err == nil {
			sent, _ = io.ReadAll(body)
		}
	}
	res, err := t.next().RoundTrip(req)
	if err != nil {
		return nil, err
	}
	x := Exchange{Method: req.Method, Path: req.URL.EscapedPath(), Request: sent, Status: res.StatusCode, Header: res.Header}
	base := req.URL.Scheme + "://" + req.URL.Host
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		x.Stream = true
		res.Body = newEvents(res.Body, base, x)
	} else {
		x.Body, err = io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			return nil, err
		}
		res.Body = io.NopCloser(bytes.NewReader(x.Body))
	}
	if err := Check(base, x); err != nil {
		res.Body.Close()
		return nil, err
	}
	return res, nil
}

// documents are those of the servers seen so far, by base URL and by text:
// most servers have the same.
var documents struct {
	sync.Mutex
	byBase map[string]*document
	byText map[string]*document
	latest *document
}

// documentOf fetches a server's document once. A server that is going away
// may not give it any more: then the one before it counts.
func documentOf(base string) (*document, error) {
	documents.Lock()
	defer documents.Unlock()
	if doc := documents.byBase[base]; doc != nil {
		return doc, nil
	}
	text, err := fetch(base + "/openapi.json")
	if err != nil {
		if documents.latest != nil {
			return documents.latest, nil
		}
		return nil, err
	}
	doc := documents.byText[string(text)]
	if doc == nil {
		if doc, err = parse(text); err != nil {
			return nil, err
		}
	}
	if documents.byBase == nil {
		documents.byBase, documents.byText = map[string]*document{}, map[string]*document{}
	}
	documents.byBase[base], documents.byText[string(text)], documents.latest = doc, doc, doc
	return doc, nil
}

func fetch(url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || !json.Valid(text)) {
		err = fmt.Errorf("GET %s: %d %.200s", url, res.StatusCode, text)
	}
	return text, err
}
