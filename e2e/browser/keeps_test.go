package browser

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
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

// TestTheInputIsSentAsWritten: what JavaScript would write differently.
func TestTheInputIsSentAsWritten(t *testing.T) {
	p := newTab(t, start(t).BaseURL+"/")
	p.fill("input", "[12345678901234567890, 2.0, 1e3, -0.0,\n 9007199254740993]")
	p.execute("def main(numbers):\n    return [repr(n) for n in numbers]\n")
	want := []any{"12345678901234567890", "2.0", "1000.0", "-0.0", "9007199254740993"}
	var got []any
	p.press("#copy-result")
	p.until(`document.getElementById("notice").textContent.includes("clipboard")`)
	if err := json.Unmarshal([]byte(value[string](p, "navigator.clipboard.readText()")), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for language := range languages {
		t.Run(language, func(t *testing.T) {
			p.within(t)
			var answer struct{ Result []any }
			if out := p.runCopied(language); json.Unmarshal(out, &answer) != nil || !cmp.Equal(want, answer.Result) {
				t.Errorf("it prints %s", out)
			}
		})
	}
}

// TestAKeyThatIsThereTwice is refused by the server, not hidden by the page.
func TestAKeyThatIsThereTwice(t *testing.T) {
	p := newTab(t, start(t).BaseURL+"/")
	p.fill("input", `{"a": 1, "a": 2}`)
	p.execute("def main(pairs):\n    return pairs\n")
	p.expect("400")
	if got := p.text("#failure"); !strings.Contains(got, "appears twice") {
		t.Errorf("it says %q", got)
	}
}

// TestAWrongInputIsNotSent: sent as it is, it could be more than an input.
func TestAWrongInputIsNotSent(t *testing.T) {
	p := newTab(t, start(t).BaseURL+"/")
	for _, input := range []string{"1, \"timeout_ms\": 1", "{", "NaN", "1} {"} {
		p.fill("input", input)
		p.press("#run")
		p.until(`document.getElementById("status").textContent === "Not run."`)
		if got := p.text("#failure"); !strings.Contains(got, "The input is not JSON") {
			t.Errorf("%s: it says %q", input, got)
		}
	}
}
