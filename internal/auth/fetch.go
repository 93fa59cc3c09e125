package auth

import (
	"bytes"
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

// newClient returns a client for a provider's documents.
func newClient(refresh time.Duration) *http.Client {
	if refresh == 0 {
		refresh = refreshTime
	}
	return &http.Client{
		Timeout:   fetchTime,
		Transport: &fetcher{base: http.DefaultTransport, refresh: refresh, documents: map[string]*document{}},
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			if len(via) > 3 || to.URL.Scheme != "https" && !loopback(to.URL.Hostname()) {
				return errors.New("redirected too often, or away from https")
			}
			return nil
		},
	}
}

// fetcher answers from memory what was asked for a moment ago, failures
// included. An answer that is the provider's fault is an error.
type fetcher struct {
	base    http.RoundTripper
	refresh time.Duration

	mu        sync.Mutex
	documents map[string]*document // by URL: a provider has two, and what they redirect to
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
	switch {
	case d.err != nil:
	case len(d.body) > maxDocument:
		d.err = fmt.Errorf("the provider's answer is larger than %d bytes", maxDocument)
	case res.StatusCode >= http.StatusInternalServerError || res.StatusCode == http.StatusTooManyRequests:
		d.err = fmt.Errorf("the provider answered %s", res.Status)
	}
}
