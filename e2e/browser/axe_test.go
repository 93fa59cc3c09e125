package browser

import (
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// TestAccessibility asks axe in each state of the page, in both colours and on
// a phone: nothing serious may be found.
func TestAccessibility(t *testing.T) {
	if chromium == nil {
		t.Skip("NOT TESTED: no Chromium here: apt-get install chromium")
	}
	source, err := os.ReadFile(e2etest.Repo(t, "web", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: axe-core is not installed: scripts/web.sh: %v", err)
	}
	server := start(t)
	for _, theme := range []string{"light", "dark"} {
		for _, phone := range []bool{false, true} {
			name := theme
			if phone {
				name += " phone"
			}
			t.Run(name, func(t *testing.T) {
				p := newTab(t, server.BaseURL+"/")
				call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
				})
				if phone {
					p.run(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch))
				}
				get(p, chromedp.Evaluate[chromedp.Void](string(source)))
				p.axe("at first")
				for _, example := range []string{"Print and return", "pandas", "A plot (SVG, plain Python)", "An error", "A blocked operation"} {
					p.choose(example)
					p.press("#run")
					p.finished()
					p.axe(example)
				}
				p.press("#isolation-button")
				p.press("#copy summary")
				p.press("#more > summary")
				p.until(`document.querySelectorAll("#layers li").length > 5`)
				p.axe("all open")
			})
		}
	}
}

// axe reports what it finds serious or critical. It must have looked: a page
// without anything to pass is a failure as well.
func (p *tab) axe(state string) {
	p.t.Helper()
	found := value[struct {
		Passes int
		Wrong  []string
	}](p, `axe.run(document).then((r) => ({ passes: r.passes.length, wrong: r.violations
		.filter((v) => v.impact === "serious" || v.impact === "critical")
		.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.target.join(" ") + ": " + n.any.concat(n.all, n.none).map((c) => c.message).join("; "))) }))`)
	if found.Passes < 15 {
		p.t.Errorf("%s: axe passed only %d rules", state, found.Passes)
	}
	if len(found.Wrong) > 0 {
		p.t.Errorf("%s: axe finds\n%s", state, strings.Join(found.Wrong, "\n"))
	}
}
