package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

var healthcheckCommand = command{
	name: "healthcheck", summary: "exit 0 when the server on $PORT or 8080 is healthy",
	examples: []string{"pyexec healthcheck && echo well"},
	run:      func(*invocation) int { return healthcheck() },
}

// healthcheck is for Docker's HEALTHCHECK: the image has no curl.
func healthcheck() int {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
		if _, p, err := net.SplitHostPort(os.Getenv("PYEXEC_ADDR")); err == nil {
			port = p
		}
	}
	client, scheme := http.Client{Timeout: 3 * time.Second}, "http://"
	if os.Getenv("PYEXEC_TLS_CERT") != "" {
		// The certificate is for the public name, and this is the machine itself.
		scheme, client.Transport = "https://", &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // see above
	}
	res, err := client.Get(scheme + net.JoinHostPort("127.0.0.1", port) + "/health") //nolint:gosec // to this machine only
	if err != nil {
		fmt.Fprintln(os.Stderr, "pyexec:", err)
		return exitFailure
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
		fmt.Fprintf(os.Stderr, "pyexec: %s: %s\n", res.Status, body)
		return exitFailure
	}
	return 0
}
