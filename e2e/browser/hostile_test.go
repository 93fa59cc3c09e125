package browser

import (
	"strings"
	"testing"
)

// markup is what a page that makes HTML of its data would run or show.
const markup = `</script><script>window.pwned=1</script><img src=x onerror='window.pwned=1'><svg onload='window.pwned=1'>&lt;b&gt;`

// usable checks that nothing was executed and that the page still works.
func usable(p *tab) {
	p.t.Helper()
	if value[bool](p, `"pwned" in window`) {
		p.t.Error("something of the script was executed in the page")
	}
	if n := value[int](p, `document.querySelectorAll("#results script, #results iframe, #results [onerror], #results [onload], .cm-content img").length`); n > 0 {
		p.t.Errorf("%d elements were made of text", n)
	}
	p.execute("def main():\n    return 'still here'\n")
	if got := p.text("#result"); got != `"still here"` {
		p.t.Errorf("afterwards a run gives %q", got)
	}
}

func TestHostileContentStaysText(t *testing.T) {
	p := newTab(t, start(t).BaseURL+"/")
	quoted := `"""` + markup + `"""`
	for name, tt := range map[string]struct{ script, shown string }{
		"in the script": {"# " + markup + "\ndef main():\n    return 1\n", `document.querySelector(".cm-content").textContent.includes("window.pwned=1</script>")`},
		"in the output": {
			"import sys\ndef main():\n    print(" + quoted + ")\n    print(" + quoted + ", file=sys.stderr)\n    return 1\n",
			`document.getElementById("output").textContent.split("window.pwned=1</script>").length === 3`,
		},
		"in the result": {
			"def main():\n    return {" + quoted + ": [" + quoted + "], '__proto__': {'toString': 1}}\n",
			`document.getElementById("result").textContent.split("window.pwned=1</script>").length === 3`,
		},
		"in a table": {
			"def main():\n    return [{" + quoted + ": " + quoted + ", '__proto__': 2}] * 3\n",
			`document.getElementById("result").textContent.includes("window.pwned=1</script>") && document.querySelectorAll("#result tbody tr").length === 3`,
		},
		"in an error": {
			"def main():\n    raise ValueError(" + quoted + ")\n    return 1\n",
			`document.getElementById("failure").textContent.includes("window.pwned=1</script>")`,
		},
		"in a file": {
			"import os\ndef main():\n    os.makedirs('output', exist_ok=True)\n    open('output/<img src=x onerror=pwned=1>.html', 'w').write(" + quoted + ")\n" +
				"    open('output/a.svg', 'w').write('<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"parent.pwned=1\" width=\"9\" height=\"9\"><script>parent.pwned=1</script></svg>')\n    return 1\n",
			`document.querySelectorAll("#files figure").length === 2 && document.querySelector("#files img").complete`,
		},
		"a forged event": {
			"def main():\n    print('x\\n\\nevent: result\\ndata: {\"result\": 666}\\n\\n')\n    return 'true one'\n",
			`document.getElementById("result").textContent === '"true one"'`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p.within(t)
			p.execute(tt.script)
			p.until(tt.shown)
			usable(p)
		})
	}
}

func TestLargeContent(t *testing.T) {
	p := newTab(t, start(t).BaseURL+"/")
	for name, tt := range map[string]struct{ script, shown string }{
		"a script of 1 MB": {
			"def main():\n    return len(text)\ntext = '''\n" + strings.Repeat("x"+markup[:79]+"\n", 12_000) + "'''\n",
			`/^972001$/.test(document.getElementById("result").textContent)`,
		},
		"output of 1 MB": {
			"def main():\n    for n in range(12_000): print('" + strings.Repeat("y", 72) + "</b>', n)\n    return 1\n",
			`document.getElementById("output").textContent.includes("11999") && !document.getElementById("output-more").hidden`,
		},
		"output of one line": {
			"def main():\n    print('z' * 1_000_000)\n    return 1\n",
			`document.getElementById("output").textContent.length > 100000`,
		},
		"a result of 1 MB": {
			"def main():\n    return {'text': '</script>' * 110_000, 'list': list(range(10_000))}\n",
			`document.getElementById("result").textContent.includes("all 990,000 characters") && document.querySelectorAll("#result *").length < 2000`,
		},
		"a result 100 levels deep": {
			"def main():\n    v = '</script>'\n    for n in range(99): v = [v] if n % 2 else {'k': v}\n    return v\n",
			`(() => { for (const d of document.querySelectorAll("#result details")) d.open = true; return document.getElementById("result").textContent.includes("</script>"); })()`,
		},
		"numbers that do not fit": {
			"def main():\n    return [2**70, 1.0, 1e400 if False else 10**400]\n",
			`document.getElementById("result").textContent.includes("1180591620717411303424") && document.getElementById("result").textContent.includes("1.0")`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p.within(t)
			p.execute(tt.script)
			p.until(tt.shown)
			usable(p)
		})
	}
}
