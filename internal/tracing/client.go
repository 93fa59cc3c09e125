package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// client sends spans by OTLP over HTTP. It is ours, since the client of
// OpenTelemetry links all of gRPC: 5 MB, and milliseconds of every start, with
// traces or without. What it sends is a TracesData, which on the wire is what
// the service takes: both are the field 1, repeated ResourceSpans.
type client struct {
	setting
	http *http.Client
}

func newClient(s setting) *client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = s.tls
	return &client{setting: s, http: &http.Client{
		Transport: transport, Timeout: s.timeout,
		// The headers, in which a key may be, are for the endpoint alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Start implements otlptrace.Client.
func (c *client) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *client) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client. It tries again what the receiver
// asks to send again, until the timeout.
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	if c.gzip {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(body) // into memory
		_ = w.Close()
		body = b.Bytes()
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	const least, most = 200 * time.Millisecond, 5 * time.Second
	for wait := least; ; wait = min(2*wait, most) {
		again, err := c.post(ctx, body)
		if err == nil || again == 0 {
			return err
		}
		select {
		case <-time.After(max(wait, again)):
		case <-ctx.Done():
			return err
		}
	}
}

// post sends once; again is when to send the same once more, 0 for never.
func (c *client) post(ctx context.Context, body []byte) (again time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	for key, value := range c.headers {
		req.Header.Set(key, value)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	if c.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	res, err := c.http.Do(req)
	if err != nil {
		var at *url.Error
		if errors.As(err, &at) {
			at.URL = c.shown
		}
		return 1, err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
	switch res.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return 0, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return max(time.Duration(seconds)*time.Second, 1), fmt.Errorf("POST %s: %s", c.shown, res.Status)
	default:
		return 0, fmt.Errorf("POST %s: %s", c.shown, res.Status)
	}
}
