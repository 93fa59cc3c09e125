// Package client calls a python-code-executor server.
//
//	c, err := client.New("http://localhost:8080")
//	res, err := c.Execute(ctx, client.Request{Script: "def main():\n    return 1"})
//	if errors.Is(err, client.Timeout) { ... }
//
// A run that failed and a server that could not run are both an [*Error],
// whose Type tells which. It imports the standard library alone, and knows the
// server through its HTTP contract alone.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client is safe for concurrent use.
type Client struct {
	base    string
	http    *http.Client
	key     string
	retries int
	maxWait time.Duration
}

// Option changes what [New] makes.
type Option func(*Client)

// WithKey sends an API key with every request.
func WithKey(key string) Option { return func(c *Client) { c.key = key } }

// WithHTTPClient sends requests through h. Its redirects are not followed,
// whatever it says: a run must not be sent on to somewhere else.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) {
		own := *h
		c.http = &own
	}
}

// WithRetries is how often a request that the server has refused before it
// began is sent again, 2 by default, and the longest Retry-After to wait for,
// 30 s by default. Nothing that may have run is ever sent again.
func WithRetries(n int, longest time.Duration) Option {
	return func(c *Client) { c.retries, c.maxWait = n, longest }
}

// New returns a client of the server at base, such as http://localhost:8080.
func New(base string, opts ...Option) (*Client, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("server: %q is not a URL such as http://localhost:8080", base)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("server: %q has a query or a fragment", base)
	}
	c := &Client{base: strings.TrimRight(base, "/"), http: &http.Client{}, retries: 2, maxWait: 30 * time.Second}
	for _, opt := range opts {
		opt(c)
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// Execute runs a script and returns what came of it. Any error of the script
// or of the server is an [*Error]; others are of the connection or of ctx.
func (c *Client) Execute(ctx context.Context, req Request) (*Result, error) {
	body, err := req.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	var res Result
	err = c.retried(ctx, func() error {
		answer, err := c.send(ctx, http.MethodPost, "/execute", "application/json", body)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		return decode(answer, &res)
	})
	if err != nil {
		return nil, err
	}
	return &res, nil
}

// Health asks for the server's state. The error is an [*Error] with the
// status 503 when the server says that it cannot run scripts; the answer is
// there all the same.
func (c *Client) Health(ctx context.Context) (json.RawMessage, error) {
	answer, err := c.send(ctx, http.MethodGet, "/health", "application/json", nil)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = newError(answer, text)
	}
	return text, err
}

// retried calls f again while the server refuses what it has not begun and
// says when to come back.
func (c *Client) retried(ctx context.Context, f func() error) error {
	for attempt := 0; ; attempt++ {
		err := f()
		var refused *Error
		if !errors.As(err, &refused) || !refused.Retryable() || attempt >= c.retries || refused.RetryAfter > c.maxWait {
			return err
		}
		if end, ok := ctx.Deadline(); ok && time.Until(end) < refused.RetryAfter {
			return err // it is worth more than the deadline's
		}
		wait := time.NewTimer(refused.RetryAfter)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return err
		}
	}
}

func (c *Client) send(ctx context.Context, method, path, accept string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	return c.http.Do(req)
}

// maxAnswer bounds what is read of an answer: more than the largest result,
// stdout, stderr and files together.
const maxAnswer = 64 << 20

// decode reads a whole answer of /execute.
func decode(answer *http.Response, res *Result) error {
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("read the answer: %w", err)
	case len(text) > maxAnswer:
		return fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	case answer.StatusCode != http.StatusOK:
		return newError(answer, text)
	}
	return readResult(answer, text, res)
}

func readResult(answer *http.Response, text []byte, res *Result) error {
	if err := json.Unmarshal(text, res); err != nil || res.Value == nil {
		return errors.Join(fmt.Errorf("the answer is not one of python-code-executor: %.200q", text), err)
	}
	res.Body, res.RequestID = text, answer.Header.Get("X-Request-Id")
	return nil
}

func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.ParseInt(h.Get("Retry-After"), 10, 32)
	if err != nil || seconds < 0 {
		return 0
	}
	return max(time.Duration(seconds)*time.Second, time.Millisecond)
}
