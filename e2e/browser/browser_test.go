// Package browser walks the playground in a real, headless Chromium against
// the real server. A page that logs an error, breaks its content security
// policy or asks another host fails the test that showed it.
package browser

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// chromium is the browser's process, which the tests share; each has tabs of
// its own.
var chromium context.Context

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(withChromium(m))
}

func withChromium(m *testing.M) int {
	path := binary()
	if path == "" {
		if os.Getenv("CI") == "true" {
			fmt.Fprintln(os.Stderr, "no Chromium, which CI must have: apt-get install chromium")
			return 1
		}
		return m.Run() // each test says that it is skipped
	}
	home, err := os.MkdirTemp("", "browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(home)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(home),
		chromedp.NoSandbox, // as root it has none; it is shown our own page alone
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("lang", "en"),
		// Nothing but the server: names do not resolve.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, end := chromedp.NewContext(allocator)
	defer end()
	if err := chromedp.Do(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "start Chromium:", err)
		return 1
	}
	chromium = ctx
	code := m.Run()
	if err := chromedp.Cancel(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "end Chromium:", err)
	}
	e2etest.Cleanup()
	return code
}

func binary() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// tab is one page and what it did.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	wrong    []string // console errors, exceptions, violations, foreign requests
	requests []string
	bytes    int64 // that came over the network
}

const patience = 2 * time.Minute

// newTab opens a page of a server. What it does wrong by the end of the test
// fails the test.
func newTab(t testing.TB, address string) *tab {
	t.Helper()
	if chromium == nil {
		t.Skip("NOT TESTED: no Chromium here: apt-get install chromium")
	}
	ctx, cancel := chromedp.NewContext(chromium)
	p := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, wrong := range p.wrong {
			t.Errorf("the page: %s", wrong)
		}
	})
	origin, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, func(event any) { p.heard(event, origin.Host) }); err != nil {
		t.Fatal(err)
	}
	for _, permission := range []string{"clipboard-read", "clipboard-write"} {
		_, err := chromedp.CallBrowser(ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: permission}, Setting: browser.PermissionSettingGranted, Origin: origin.Scheme + "://" + origin.Host,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	call(p, network.Enable, network.EnableParams{})
	call(p, runtime.Enable, cdp.Empty{})
	call(p, log.Enable, cdp.Empty{})
	p.run(chromedp.EmulateViewport(1360, 860), chromedp.Navigate(address))
	p.until(`document.documentElement.dataset.ready === "true"`)
	return p
}

// within makes a subtest the one that failures belong to.
func (p *tab) within(t *testing.T) {
	outer := p.t
	p.t = t
	t.Cleanup(func() { p.t = outer })
}

func (p *tab) heard(event any, host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			var text []string
			for _, a := range e.Args {
				text = append(text, string(a.Value)+a.Description)
			}
			p.wrong = append(p.wrong, "console: "+strings.Join(text, " "))
		}
	case *runtime.EventExceptionThrown:
		p.wrong = append(p.wrong, fmt.Sprintf("exception: %s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning { // violations of the policy are here
			p.wrong = append(p.wrong, fmt.Sprintf("log: %s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
		u, err := url.Parse(e.Request.URL)
		if err != nil || u.Host != host && u.Scheme != "blob" && u.Scheme != "data" {
			p.wrong = append(p.wrong, "a request to "+e.Request.URL)
		}
	case *network.EventLoadingFinished:
		p.bytes += int64(e.EncodedDataLength)
	}
}

// expect takes a complaint out of those that fail the test; it must be there.
func (p *tab) expect(part string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, wrong := range p.wrong {
		if strings.Contains(wrong, part) {
			p.wrong = append(p.wrong[:i], p.wrong[i+1:]...)
			return
		}
	}
	p.t.Errorf("the page did not complain of %q: %q", part, p.wrong)
}

func (p *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("the browser: %v", err)
	}
}

// call is a command of the browser's protocol.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	got, err := chromedp.Call(p.ctx, command, params)
	if err != nil {
		p.t.Fatalf("the browser: %v", err)
	}
	return got
}

// get is what an action gives.
func get[T any](p *tab, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	got, err := chromedp.Run(ctx, action)
	if err != nil {
		p.t.Fatalf("the browser: %v", err)
	}
	return got
}

// value is what a JavaScript expression gives.
func value[T any](p *tab, expression string) T {
	p.t.Helper()
	return get(p, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// until waits for an expression to become true, in the page itself.
func (p *tab) until(expression string) {
	p.t.Helper()
	// Not chromedp.Poll: it makes a function of a string, as the policy forbids.
	script := fmt.Sprintf("new Promise((done) => { const look = () => { if (%s) done(true); else setTimeout(look, 15); }; look(); })", expression)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](script, chromedp.EvalAwaitPromise)); err != nil {
		shown, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.body.innerText.slice(0, 2000)`))
		p.t.Fatalf("%s: %v; the page shows:\n%s", expression, err, shown)
	}
}

// text is what an element shows.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return value[string](p, fmt.Sprintf("document.querySelector(%q)?.textContent ?? ''", selector))
}
