package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// fetchTime bounds one request to a provider.
	fetchTime = 5 * time.Second
	// refreshTime is the least time between two requests for one document: a
	// flood of tokens with unknown key ids must not become one of requests to
	// the provider.
	refreshTime = 10 * time.Second
	// maxDocument bounds what a provider may send.
	maxDocument = 1 << 20
)

// newClient returns a client for a provider's documents, of which fault tells
// what counts as no answer at all.
func newClient(refresh time.Duration, fault func(*document) error) *http.Client {
	if refresh == 0 {
		refresh = refreshTime
	}
	return &http.Client{
		Timeout:   fetchTime,
		Transport: &fetcher{base: http.DefaultTransport, refresh: refresh, fault: fault, documents: map[string]*document{}},
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			if len(via) > 3 || to.URL.Scheme != "https" && !loopback(to.URL.Hostname()) {
				return errors.New("redirected too often, or away from https")
			}
			return nil
		},
	}
}

// fetcher answers from memory what was asked for a moment ago, failures
// included.
type fetcher struct {
	base    http.RoundTripper
	refresh time.Duration
	fault   func(*document) error

	mu        sync.Mutex
	documents map[string]*document // by URL: one, and what it redirects to
}

type document struct {
	turn   chan struct{} // held by who reads or fetches the rest
	at     time.Time     // of the end of the last fetch
	status int
	header http.Header
	body   []byte
	err    error
}

func (f *fetcher) document(url string) *document {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, ok := f.documents[url]
	if !ok {
		d = &document{turn: make(chan struct{}, 1)}
		f.documents[url] = d
	}
	return d
}

// RoundTrip implements http.RoundTripper.
func (f *fetcher) RoundTrip(r *http.Request) (*http.Response, error) {
	d := f.document(r.URL.String())
	select {
	case d.turn <- struct{}{}:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	defer func() { <-d.turn }()
	if d.at.IsZero() || time.Since(d.at) >= f.refresh {
		// Nobody's leaving ends it: a client's context is not that of a fetch.
		d.fetch(f.base, r)
		if d.err == nil {
			d.err = f.fault(d)
		}
		d.at = time.Now()
	}
	if d.err != nil {
		return nil, d.err
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", d.status, http.StatusText(d.status)), StatusCode: d.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: d.header.Clone(), ContentLength: int64(len(d.body)), Body: io.NopCloser(bytes.NewReader(d.body)), Request: r,
	}, nil
}

func (d *document) fetch(base http.RoundTripper, r *http.Request) {
	d.status, d.header, d.body = 0, nil, nil
	res, err := base.RoundTrip(r)
	if d.err = err; err != nil {
		return
	}
	defer res.Body.Close()
	d.status, d.header = res.StatusCode, res.Header
	d.body, d.err = io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if d.err == nil && len(d.body) > maxDocument {
		d.err = fmt.Errorf("the provider's answer is larger than %d bytes", maxDocument)
	}
}

// serverFault is for discovery: what else is wrong with it is the issuer's URL.
func serverFault(d *document) error {
	if d.status >= http.StatusInternalServerError || d.status == http.StatusTooManyRequests {
		return d.unexpected()
	}
	return nil
}

// noKeys is for the keys, whose URL discovery has named: whatever else comes,
// such as the page of a proxy, says nothing about the keys of before.
func noKeys(d *document) error {
	if d.status != http.StatusOK {
		if d.header.Get("Location") != "" && d.status/100 == 3 {
			return nil
		}
		return d.unexpected()
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(d.body, &set) != nil || set.Keys == nil {
		return errors.New("the provider's answer is no JSON object with a list of keys")
	}
	return nil
}

func (d *document) unexpected() error {
	return fmt.Errorf("the provider answered %d %s", d.status, http.StatusText(d.status))
}
