package admission

import (
	"slices"

	"github.com/python-code-executor/pyexec"
)

// waiter is one request in line. Whoever takes it out of the line, other
// than itself, sends exactly one answer; nil is a place.
type waiter struct {
	caller string
	memory pyexec.Bytes
	answer chan error // buffered: sending never blocks
}

// line is the requests that wait, first come first served within a caller
// and in turn between callers. It is not safe for concurrent use.
type line struct {
	size    int
	callers map[string][]*waiter // none is empty
	turns   []string             // keys of callers, the next to be served first
}

func newLine() line { return line{callers: map[string][]*waiter{}} }

func (l *line) push(caller string, memory pyexec.Bytes) *waiter {
	w := &waiter{caller: caller, memory: memory, answer: make(chan error, 1)}
	if len(l.callers[caller]) == 0 {
		l.turns = append(l.turns, caller)
	}
	l.callers[caller] = append(l.callers[caller], w)
	l.size++
	return w
}

// peek is the waiter whose turn it is; nil when nobody waits.
func (l *line) peek() *waiter {
	if l.size == 0 {
		return nil
	}
	return l.callers[l.turns[0]][0]
}

// pop takes out the waiter whose turn it is; nil when nobody waits.
func (l *line) pop() *waiter {
	w := l.peek()
	if w == nil {
		return nil
	}
	caller := w.caller
	l.remove(w)
	if len(l.callers[caller]) > 0 {
		l.turns = append(l.turns[1:], caller)
	}
	return w
}

// remove takes out w; it reports whether w was still in line.
func (l *line) remove(w *waiter) bool {
	waiting := l.callers[w.caller]
	i := slices.Index(waiting, w)
	if i < 0 {
		return false
	}
	l.size--
	if len(waiting) > 1 {
		l.callers[w.caller] = slices.Delete(waiting, i, i+1)
		return true
	}
	delete(l.callers, w.caller)
	turn := slices.Index(l.turns, w.caller)
	l.turns = slices.Delete(l.turns, turn, turn+1)
	return true
}

// evictFor takes out the newest waiter of the caller with most of them, if
// that one would still have no fewer than the given caller afterwards.
func (l *line) evictFor(caller string) *waiter {
	var most []*waiter
	for _, c := range l.turns {
		if len(l.callers[c]) > len(most) {
			most = l.callers[c]
		}
	}
	if len(most) <= len(l.callers[caller])+1 {
		return nil
	}
	w := most[len(most)-1]
	l.remove(w)
	return w
}

// ahead counts the waiters that would be served before a new one of caller.
func (l *line) ahead(caller string) int {
	own := len(l.callers[caller])
	n := own
	for c, waiting := range l.callers {
		if c != caller {
			n += min(len(waiting), own+1)
		}
	}
	return n
}

// clear takes out everybody.
func (l *line) clear() []*waiter {
	var all []*waiter
	for w := l.pop(); w != nil; w = l.pop() {
		all = append(all, w)
	}
	return all
}
