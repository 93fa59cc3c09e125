package browser

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// script is what the editor has.
func (p *tab) script() string {
	p.t.Helper()
	return value[string](p, `[...document.querySelectorAll(".cm-line")].map((l) => l.textContent).join("\n")`)
}

// fill puts a text into a field below the editor.
func (p *tab) fill(id, text string) {
	p.t.Helper()
	value[bool](p, fmt.Sprintf(`(document.getElementById(%q).value = %q) !== null`, id, text))
}

// TestNothingIsLostToAnAddress: the user's work stays, wherever the fragment
// goes that is not a link of ours.
func TestNothingIsLostToAnAddress(t *testing.T) {
	p := newTab(t, start(t).BaseURL+"/")
	const script = "def main(n):\n    return n\n"
	p.fill("input", "42")
	p.execute(script)
	kept := func(when string) {
		t.Helper()
		value[bool](p, `new Promise((done) => setTimeout(() => done(true), 200))`) // what comes after hashchange
		if got := p.script(); got != script {
			t.Errorf("%s: the editor has %q", when, got)
		}
		if got := value[string](p, `document.getElementById("input").value`); got != "42" {
			t.Errorf("%s: the input is %q", when, got)
		}
		if got := p.text("#result"); got != "42" {
			t.Errorf("%s: the result is %q", when, got)
		}
	}
	p.press("#share")
	p.until(`location.hash.startsWith("#1=")`)
	link := value[string](p, "location.hash")
	p.run(chromedp.Focus(chromedp.CSS("a.skip")), chromedp.KeyEvent(kb.Enter))
	kept("the link to the results")
	if !value[bool](p, `document.activeElement.id === "results"`) {
		t.Error("the link to the results does not lead there")
	}
	if got := value[string](p, "location.hash"); got != link {
		t.Errorf("it makes the address %q", got)
	}
	for _, fragment := range []string{"#results", "#", "#1=!!!"} {
		value[bool](p, fmt.Sprintf(`(location.hash = %q) !== null`, fragment))
		kept(fragment)
	}
}
