package browser

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

func start(t *testing.T, args ...string) *e2etest.Server {
	t.Helper()
	e2etest.RequireServer(t)
	return e2etest.Start(t, args...)
}

// choose picks an example by its name.
func (p *tab) choose(example string) {
	p.t.Helper()
	ok := value[bool](p, fmt.Sprintf(`(() => {
		const select = document.getElementById("examples");
		const option = [...select.options].find((o) => o.textContent === %q);
		if (!option) return false;
		select.value = option.value;
		select.dispatchEvent(new Event("change"));
		return true;
	})()`, example))
	if !ok {
		p.t.Fatalf("there is no example %q", example)
	}
}

// press clicks, as a user would: what is not to be seen cannot be clicked.
func (p *tab) press(selector string) {
	p.t.Helper()
	p.run(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// finished waits for the end of the run.
func (p *tab) finished() {
	p.t.Helper()
	p.until(`["good", "bad"].includes(document.getElementById("status").dataset.state) && document.getElementById("times").textContent.includes("total")`)
}

// write puts a script into the editor, by pasting it.
func (p *tab) write(script string) {
	p.t.Helper()
	text, _ := json.Marshal(script)
	p.run(chromedp.Focus(chromedp.CSS(".cm-content")), chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl)))
	value[bool](p, fmt.Sprintf(`(() => {
		const data = new DataTransfer();
		data.setData("text/plain", %s);
		return document.querySelector(".cm-content").dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
	})()`, text))
}

// execute runs a script to its end.
func (p *tab) execute(script string) {
	p.t.Helper()
	p.write(script)
	p.press("#run")
	p.finished()
}

func TestTheFirstLoad(t *testing.T) {
	server := start(t)
	p := newTab(t, server.BaseURL+"/")
	p.until(`document.querySelector("#isolation-button").dataset.state`)
	if got := p.text("#isolation-label"); got == "unavailable" || got == "no answer" {
		t.Errorf("the sandbox is shown as %q", got)
	}
	if got := p.text(".cm-content"); !strings.Contains(got, "Hello World") {
		t.Errorf("the editor has %q", got)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t.Logf("the first load took %d bytes in %d requests", p.bytes, len(p.requests))
	if p.bytes > 300_000 || p.bytes < 10_000 {
		t.Errorf("the first load took %d bytes, of 300 000", p.bytes)
	}
	for _, request := range p.requests {
		if strings.HasSuffix(request, "/execute") {
			t.Error("something ran by itself")
		}
	}
}

// TestEveryExample runs all that the page offers; one that is not here fails.
func TestEveryExample(t *testing.T) {
	p := newTab(t, start(t).BaseURL+"/")
	shown := map[string]string{ // an expression that holds at the end
		"Hello":                      `result().includes('message: "Hello World"')`,
		"Print and return":           `output() === "step 1 of 5\nstep 2 of 5\nstep 3 of 5\nstep 4 of 5\nstep 5 of 5\n" && result().includes("steps: 5")`,
		"Input":                      `output().includes("Ada") && result().includes("Ada wrote the first program in 1843.")`,
		"numpy":                      `output().includes("points fell inside") && result().includes("pi: 3.14")`,
		"pandas":                     `document.querySelectorAll("#result tbody tr").length === 7 && result().includes("7 records")`,
		"A plot (SVG, plain Python)": `image("output/wave.svg")`,
		"A plot (matplotlib)":        `result().includes("matplotlib is not installed") || image("output/parabola.png")`,
		"An error":                   `failure().includes("ZeroDivisionError") && faulty() === "    return sum(numbers) / len(numbers)"`,
		"A blocked operation":        `failure().includes("policy_violation") && failure().includes("Try:") && faulty() === "import subprocess"`,
		"A time limit":               `failure().includes("1000 ms") && output().includes("for ever")`,
	}
	names := value[[]string](p, `[...document.querySelectorAll("#examples option")].slice(1).map((o) => o.textContent)`)
	if len(names) != len(shown) {
		t.Errorf("the page has the examples %q", names)
	}
	value[bool](p, `Object.assign(window, {
		output: () => document.getElementById("output").textContent,
		result: () => document.getElementById("result").textContent,
		failure: () => document.getElementById("failure").textContent,
		faulty: () => document.querySelector(".faulty-line")?.textContent,
		image: (name) => { const figure = [...document.querySelectorAll("#files figure")].find((f) => f.textContent.includes(name));
			return figure?.querySelector("img").complete && figure.querySelector("img").naturalWidth > 100; },
	}) && true`)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			p.within(t)
			p.choose(name)
			p.press("#run")
			p.finished()
			if shown[name] == "" {
				t.Fatal("no test knows this example")
			}
			p.until(shown[name])
			for _, part := range []string{"queue", "run", "total"} {
				if !strings.Contains(p.text("#times"), part) {
					t.Errorf("the times are %q", p.text("#times"))
				}
			}
		})
	}
}

func TestOutputIsSeenBeforeTheEnd(t *testing.T) {
	p := newTab(t, start(t).BaseURL+"/")
	p.write("import time\ndef main():\n    print('first')\n    time.sleep(8)\n    return 1\n")
	p.press("#run")
	p.until(`document.getElementById("output").textContent === "first\n" && document.getElementById("status").dataset.state === "busy"`)
	if p.text("#status") != "Running…" && p.text("#status") != "Sending…" {
		t.Errorf("meanwhile the status is %q", p.text("#status"))
	}
	p.press("#stop")
	p.until(`document.getElementById("status").textContent === "Stopped."`)
	p.execute("def main():\n    return 'next'\n")
	if got := p.text("#result"); got != `"next"` {
		t.Errorf("after the stop a run gives %q", got)
	}
}

func TestAnErrorMarksItsLine(t *testing.T) {
	p := newTab(t, start(t).BaseURL+"/")
	for name, tt := range map[string]struct{ script, line, says string }{
		"syntax":      {"def main():\n    x = (1\n    return x +\n", "", "syntax_error"},
		"exception":   {"def main():\n    a = 1\n    return a / 0\n", "    return a / 0", "ZeroDivisionError"},
		"policy":      {"def main():\n    return eval('1')\n", "    return eval('1')", "policy_violation"},
		"no return":   {"\n\ndef main():\n    pass\n", "def main():", "missing_return"},
		"not JSON":    {"def main():\n    return {1, 2}\n", "none", "at $"},
		"no such key": {"def main():\n    return {}['é']\n", "    return {}['é']", "KeyError"},
	} {
		t.Run(name, func(t *testing.T) {
			p.within(t)
			p.execute(tt.script)
			p.until(fmt.Sprintf(`document.getElementById("failure").textContent.includes(%q)`, tt.says))
			line := value[string](p, `document.querySelector(".faulty-line")?.textContent ?? "none"`)
			if tt.line != "" && line != tt.line || tt.line == "" && line == "none" {
				t.Errorf("the marked line is %q, want %q", line, tt.line)
			}
			if line != "none" {
				p.until(`document.querySelector(".cm-lint-marker-error") && document.querySelector(".cm-lintRange-error")`)
				p.press("#failure button")
				if !value[bool](p, `document.activeElement.classList.contains("cm-content")`) {
					t.Error("the button does not lead to the line")
				}
			}
		})
	}
	p.execute("def main():\n    return 1\n")
	if value[bool](p, `document.querySelector(".faulty-line") !== null`) {
		t.Error("the mark outlives the error")
	}
}

// TestAnErrorMarksItsColumn: it counts characters, and an emoji is one.
func TestAnErrorMarksItsColumn(t *testing.T) {
	p := newTab(t, start(t).BaseURL+"/")
	p.execute("def main():\n    return '😀😀😀', eval('1')\n")
	p.until(`document.querySelector(".cm-lintRange-error")`)
	if got := value[string](p, `[...document.querySelectorAll(".cm-lintRange-error")].map((e) => e.textContent).join("")`); got != "eval('1')" {
		t.Errorf("what is marked is %q", got)
	}
}

// languages are those of "Copy as", with what runs their programs.
var languages = map[string][]string{
	"curl": {"bash", "-c"}, "python": {"python3", "-c"}, "javascript": {"node", "--input-type=module", "-e"},
}

// runCopied takes the program from the clipboard and runs it; gives what it
// prints.
func (p *tab) runCopied(language string) []byte {
	p.t.Helper()
	command := languages[language]
	if _, err := exec.LookPath(command[0]); err != nil {
		if os.Getenv("CI") == "true" {
			p.t.Fatal(err)
		}
		p.t.Skipf("NOT TESTED: %v", err)
	}
	p.press("#copy summary")
	p.press(fmt.Sprintf(`#copy [data-copy=%q]`, language))
	p.until(`!document.getElementById("notice").hidden && document.getElementById("notice").textContent.startsWith("Copied")`)
	program := value[string](p, "navigator.clipboard.readText()")
	cmd := exec.Command(command[0], append(command[1:], program)...)
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("%v: %s\n%s", err, errors.String(), program)
	}
	return out
}

func TestWhatIsCopiedRuns(t *testing.T) {
	p := newTab(t, start(t).BaseURL+"/")
	const said = "it's $HOME `x` \\ \"q\" é 😀 </script>"
	literal, _ := json.Marshal(said)
	p.write("import sys\n\ndef main(n):\n    return [" + string(literal) + ", n, sys.stdin.read()]\n")
	p.fill("input", "{\"a\": [1, null, true],\n\"b\":\n\"it's \\\"\\\\\"}")
	p.fill("stdin", "JSON\n'x'\n")
	for language := range languages {
		t.Run(language, func(t *testing.T) {
			p.within(t)
			out := p.runCopied(language)
			var answer struct{ Result []any }
			if err := json.Unmarshal(out, &answer); err != nil {
				t.Fatalf("it prints %s: %v", out, err)
			}
			want := []any{said, map[string]any{"a": []any{1.0, nil, true}, "b": `it's "\`}, "JSON\n'x'\n"}
			if d := cmp.Diff(want, answer.Result); d != "" {
				t.Errorf("%s", d)
			}
		})
	}
}

// TestALinkRunsNothing: what it carries is shown, and waits.
func TestALinkRunsNothing(t *testing.T) {
	server := start(t)
	p := newTab(t, server.BaseURL+"/")
	const script = "def main(a):\n    return '</script><b>é😀' * a\n"
	p.write(script)
	value[bool](p, `(document.getElementById("input").value = "2") !== ""`)
	p.press("#share")
	p.until(`location.hash.length > 10 && document.getElementById("notice").textContent.includes("clipboard")`)
	link := value[string](p, "navigator.clipboard.readText()")
	if !strings.HasPrefix(link, server.BaseURL+"/#1=") {
		t.Fatalf("the link is %q", link)
	}
	other := newTab(t, link)
	if got := value[string](other, `[...document.querySelectorAll(".cm-line")].map((l) => l.textContent).join("\n")`); got != script {
		t.Errorf("it shows %q", got)
	}
	if got := other.text("#notice"); !strings.Contains(got, "Read it before you run it") {
		t.Errorf("it says %q", got)
	}
	if got := other.text("#status"); got != "Ready." {
		t.Errorf("the status is %q", got)
	}
	other.mu.Lock()
	for _, request := range other.requests {
		if strings.HasSuffix(request, "/execute") {
			t.Error("the link ran its script")
		}
	}
	other.mu.Unlock()
	other.press("#run")
	other.finished()
	if got := other.text("#result"); !strings.Contains(got, "</script><b>é😀</script><b>é😀") {
		t.Errorf("then it gives %q", got)
	}
	for _, bad := range []string{"#1=", "#1=!!!", "#1=AAAA", "#nothing"} {
		odd := newTab(t, server.BaseURL+"/"+bad)
		if got := odd.text(".cm-content"); !strings.Contains(got, "Hello World") {
			t.Errorf("%s shows %q", bad, got)
		}
	}
}

// TestALinkOpens: one that is given out can be read, however well its script
// packs.
func TestALinkOpens(t *testing.T) {
	server := start(t)
	p := newTab(t, server.BaseURL+"/")
	for lines, made := range map[int]bool{300_000: true, 400_000: false} { // 900 kB and 1.2 MB as JSON
		p.write("def main():\n    return 1\n" + strings.Repeat("#\n", lines))
		value[bool](p, `(document.getElementById("notice").textContent = "") === ""`)
		p.press("#share")
		p.until(`document.getElementById("notice").textContent !== ""`)
		if !made {
			if got := p.text("#notice"); got != "The script is too long for a link." {
				t.Errorf("%d lines: it says %q", lines, got)
			}
			continue
		}
		other := newTab(t, value[string](p, "location.href"))
		if got := other.text("#notice"); !strings.Contains(got, "Read it before you run it") {
			t.Errorf("%d lines: its link says %q", lines, got)
		}
	}
}

func TestTheKeyboardIsEnough(t *testing.T) {
	p := newTab(t, start(t).BaseURL+"/")
	p.run(chromedp.Focus(chromedp.CSS(".cm-content")), chromedp.KeyEvent("\r", chromedp.KeyModifiers(kb.ModifierCtrl)))
	p.finished()
	if got := p.text("#result"); !strings.Contains(got, "Hello World") {
		t.Errorf("Ctrl+Enter gives %q", got)
	}
	p.run(chromedp.Focus(chromedp.CSS(".cm-content")), chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent(kb.Tab))
	if value[bool](p, `document.activeElement.closest(".cm-editor") !== null`) {
		t.Error("Esc and Tab do not leave the editor")
	}
	// All that can be pressed is reached by Tab alone.
	reached := map[string]bool{}
	for range 40 {
		p.run(chromedp.KeyEvent(kb.Tab))
		reached[value[string](p, `document.activeElement.id || document.activeElement.tagName`)] = true
		if value[bool](p, `document.activeElement.closest(".cm-editor") !== null`) {
			p.run(chromedp.KeyEvent(kb.Escape))
		}
	}
	for _, id := range []string{"isolation-button", "theme", "examples", "share", "run", "output", "result", "copy-result", "SUMMARY"} {
		if !reached[id] && (id != "output" || p.text("#output") != "") {
			t.Errorf("Tab does not reach %s: %v", id, reached)
		}
	}
}

// TestAKey: a server that asks for one says so, and takes it from the field.
func TestAKey(t *testing.T) {
	e2etest.RequireServer(t)
	binary, err := e2etest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.yaml")
	key, err := exec.Command(binary, "keys", "create", "--keys-file", file, "--caller", "teacher").Output()
	if err != nil {
		t.Fatal(err)
	}
	p := newTab(t, start(t, "--require-auth", "--keys-file="+file).BaseURL+"/")
	p.until(`document.getElementById("more").open`)
	p.press("#run")
	p.finished()
	p.expect("401")
	if got := p.text("#status"); got != "This server needs an API key" {
		t.Errorf("without a key it says %q", got)
	}
	if !value[bool](p, `document.activeElement.id === "key"`) {
		t.Error("the field of the key does not have the focus")
	}
	p.run(chromedp.SendKeys(chromedp.CSS("#key"), strings.TrimSpace(string(key))))
	p.press("#run")
	p.finished()
	if got := p.text("#result"); !strings.Contains(got, "Hello World") {
		t.Errorf("with the key the result is %q", got)
	}
	p.press("#copy summary")
	p.press(`#copy [data-copy="curl"]`)
	p.until(`document.getElementById("notice").textContent.startsWith("Copied")`)
	if program := value[string](p, "navigator.clipboard.readText()"); !strings.Contains(program, "Bearer $PYEXEC_API_KEY") || strings.Contains(program, strings.TrimSpace(string(key))) {
		t.Errorf("what is copied is %s", program)
	}
}

func TestItIsOffByASetting(t *testing.T) {
	server := start(t, "--playground=false")
	for _, path := range []string{"/", "/playground/app.js"} {
		res, err := http.Get(server.BaseURL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusNotFound || !strings.Contains(string(body), "not_found") {
			t.Errorf("%s answers %d %s", path, res.StatusCode, body)
		}
	}
}
