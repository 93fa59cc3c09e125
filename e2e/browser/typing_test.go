package browser

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestTypingOverASelection: by real keys, since Chromium's own editing is what
// would break the policy; newTab fails the test for a violation.
func TestTypingOverASelection(t *testing.T) {
	p := newTab(t, start(t).BaseURL+"/")
	key := func(key string, modifiers ...kb.Modifier) chromedp.Action[chromedp.Void] {
		if len(modifiers) == 0 {
			return chromedp.KeyEvent(key)
		}
		return chromedp.KeyEvent(key, chromedp.KeyModifiers(modifiers...))
	}
	all := key("a", kb.ModifierCtrl)
	home := key(kb.Home, kb.ModifierCtrl)
	down, right, end := key(kb.ArrowDown, kb.ModifierShift), key(kb.ArrowRight, kb.ModifierShift), key(kb.End, kb.ModifierShift)
	type keys = []chromedp.Action[chromedp.Void]
	const script = "one = 1\ndef main():\n    return one\n"
	for name, tt := range map[string]struct {
		keys keys
		want string
	}{
		"everything":      {keys{all, key("q"), key("r")}, "qr"},
		"a line":          {keys{home, down, key("q"), key("r"), key("s")}, "qrsdef main():\n    return one\n"},
		"two lines":       {keys{home, down, down, key("q")}, "q    return one\n"},
		"to a line's end": {keys{home, end, key("q")}, "q\ndef main():\n    return one\n"},
		"within a line":   {keys{home, right, right, right, key("q")}, "q = 1\ndef main():\n    return one\n"},
		"brackets around": {keys{home, right, right, right, key("(")}, "(one) = 1\ndef main():\n    return one\n"},
		"quotes around":   {keys{home, down, down, key("\"")}, "\"one = 1\ndef main():\n\"    return one\n"},
		"and undo":        {keys{all, key("q"), key("z", kb.ModifierCtrl)}, script},
		"no selection":    {keys{home, key("q")}, "qone = 1\ndef main():\n    return one\n"},
		"again and again": {keys{all, key("q"), all, key("r"), key(kb.Enter), all, key("s")}, "s"},
		"backwards":       {keys{key(kb.End, kb.ModifierCtrl), key(kb.ArrowUp, kb.ModifierShift), key("q")}, "one = 1\ndef main():\nq"},
	} {
		t.Run(name, func(t *testing.T) {
			p.within(t)
			p.write(script)
			p.run(tt.keys...)
			if got := p.script(); got != tt.want {
				t.Errorf("the editor has %q, want %q", got, tt.want)
			}
		})
	}
}
