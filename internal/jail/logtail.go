package jail

import (
	"bufio"
	"io"
	"sync"
)

// logTail keeps the first lines that nsjail and the zygote said, to explain a
// start that failed.
type logTail struct {
	mu    sync.Mutex
	lines []string
}

const maxLogLines = 5

func (t *logTail) read(r io.Reader, each func(string)) {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 4096), 64<<10)
	for s.Scan() {
		each(s.Text())
		t.mu.Lock()
		if t.lines = append(t.lines, s.Text()); len(t.lines) > maxLogLines {
			t.lines = t.lines[1:]
		}
		t.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, r)
}

func (t *logTail) said() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := ""
	for _, line := range t.lines {
		text += "\n  " + line
	}
	return text
}
