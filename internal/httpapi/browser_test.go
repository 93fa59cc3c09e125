package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec/internal/httpapi"
)

// ask sends a request with these headers, in pairs; "Host" is the host.
func ask(h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(plain))
	r.Header.Set("Content-Type", "application/json")
	r.Host = "127.0.0.1:8080"
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestForeignHosts: a name that another site could own is refused everywhere,
// before the route.
func TestForeignHosts(t *testing.T) {
	f := &fake{}
	local := httpapi.New(httpapi.Options{Executor: f, Browsers: httpapi.Browsers{Hosts: []string{"localhost", "api.example.com"}}})
	for host, known := range map[string]bool{
		"": true, "localhost": true, "localhost:8080": true, "LOCALHOST": true, "x.localhost:1": true, "127.0.0.1:8080": true, "[::1]:8080": true, "::1": true,
		"192.0.2.1": true, "pyexec:8080": true, "api.example.com": true, "API.example.com.:443": true,
		"evil.example": false, "evil.example:8080": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false, "localhost.evil": false,
		"xlocalhost.x": false, "api.example.com.evil.example": false, "a.api.example.com": false, "127.0.0.1.": true, "evil.example.": false, "[evil.example]": false,
	} {
		for _, path := range []string{"/execute", "/health", "/nowhere"} {
			method := map[bool]string{true: http.MethodPost, false: http.MethodGet}[path == "/execute"]
			w := ask(local, method, path, "Host", host)
			if refused := w.Code == http.StatusForbidden && strings.Contains(w.Body.String(), `"type":"forbidden"`); refused == known {
				t.Errorf("%s with the Host %q: %d %s", path, host, w.Code, w.Body)
			}
		}
	}
	for name, hosts := range map[string][]string{"none listed": nil, "any": {"*"}} {
		if w := ask(httpapi.New(httpapi.Options{Executor: f, Browsers: httpapi.Browsers{Hosts: hosts}}), "POST", "/execute", "Host", "evil.example"); w.Code != 200 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

// TestPagesOfOtherSites: they run nothing, though browsers ask first and
// should not send it at all.
func TestPagesOfOtherSites(t *testing.T) {
	const site = "https://app.example.com"
	f := &fake{}
	closed := httpapi.New(httpapi.Options{Executor: f})
	listed := httpapi.New(httpapi.Options{Executor: f, Browsers: httpapi.Browsers{Origins: []string{site}}})
	all := httpapi.New(httpapi.Options{Executor: f, Browsers: httpapi.Browsers{Origins: []string{"*"}}})
	for _, tt := range []struct {
		name    string
		h       http.Handler
		headers []string
		status  int
		allow   string
	}{
		{"no browser", closed, nil, 200, ""},
		{"its own page", closed, []string{"Origin", "http://127.0.0.1:8080"}, 200, ""},
		{"its own page, of a new browser", closed, []string{"Origin", "http://127.0.0.1:8080", "Sec-Fetch-Site", "same-origin"}, 200, ""},
		{"another site", closed, []string{"Origin", site}, 403, ""},
		{"another site without Origin", closed, []string{"Sec-Fetch-Site", "cross-site"}, 403, ""},
		{"another port", closed, []string{"Origin", "http://127.0.0.1:9999"}, 403, ""},
		{"a sandboxed page", closed, []string{"Origin", "null"}, 403, ""},
		{"the listed site", listed, []string{"Origin", site, "Sec-Fetch-Site", "cross-site"}, 200, site},
		{"beside the listed site", listed, []string{"Origin", site + ".evil.example"}, 403, ""},
		{"null beside the listed site", listed, []string{"Origin", "null"}, 403, ""},
		{"the listed site by http", listed, []string{"Origin", "http://app.example.com"}, 403, ""},
		{"any site", all, []string{"Origin", "https://any.example"}, 200, "https://any.example"},
	} {
		f.got.Store(nil)
		w := ask(tt.h, "POST", "/execute", tt.headers...)
		if w.Code != tt.status || w.Header().Get("Access-Control-Allow-Origin") != tt.allow || (f.got.Load() != nil) != (tt.status == 200) {
			t.Errorf("%s: %d %v, run %v", tt.name, w.Code, w.Header(), f.got.Load() != nil)
		}
		if w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: credentials", tt.name)
		}
		if tt.h != closed && w.Header().Get("Vary") != "Origin" {
			t.Errorf("%s: a cache would mix sites: %v", tt.name, w.Header())
		}
	}
	asking := []string{"Origin", site, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type"}
	w := ask(listed, "OPTIONS", "/execute", asking...)
	if w.Code != 204 || w.Body.Len() > 0 || w.Header().Get("Access-Control-Allow-Methods") != "POST" ||
		!strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), "Authorization, Content-Type, Traceparent, Tracestate") {
		t.Errorf("preflight: %d %v", w.Code, w.Header())
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"of nobody": ask(closed, "OPTIONS", "/execute", asking...), "of another site": ask(listed, "OPTIONS", "/execute", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST"),
		"that is none": ask(listed, "OPTIONS", "/execute", "Origin", site),
	} {
		if w.Code != 405 {
			t.Errorf("a preflight %s: %d", name, w.Code)
		}
	}
}

func TestEveryAnswerIsHarmlessInABrowser(t *testing.T) {
	h := httpapi.New(httpapi.Options{Executor: &fake{}, Browsers: httpapi.Browsers{Hosts: []string{"localhost"}}})
	for _, w := range []*httptest.ResponseRecorder{
		ask(h, "POST", "/execute"), ask(h, "GET", "/health"), ask(h, "GET", "/nowhere"), ask(h, "GET", "/execute"), ask(h, "GET", "/livez", "Host", "a.b"),
		ask(h, "POST", "/execute", "Accept", "text/event-stream"),
	} {
		for k, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := w.Header().Get(k); got != want {
				t.Errorf("%d: %s: %q, want %q", w.Code, k, got, want)
			}
		}
	}
}

// FuzzHost: a name with a dot is let in only if it is listed or an address.
func FuzzHost(f *testing.F) {
	h := httpapi.New(httpapi.Options{Executor: &fake{}, Browsers: httpapi.Browsers{Hosts: []string{"localhost"}}})
	for _, s := range []string{"localhost", "evil.example:80", "[::1]", "a.localhost.", "1.2.3.4.evil.example", "[[::1]]", "evil.example]", ":", "a.b%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		for _, evil := range []string{host + ".evil.example", host + ".evil.example:80", strings.Trim(host, ".") + "x.localhost.evil"} {
			r := httptest.NewRequest(http.MethodGet, "/livez", nil)
			r.Host = evil
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden {
				t.Errorf("the Host %q is answered %d", evil, w.Code)
			}
		}
	})
}
