package jail

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	pyexec "github.com/python-code-executor/pyexec"
)

// collector keeps the first bytes of a stream as text and counts the rest.
type collector struct {
	file    *os.File
	left    int          // bytes until the cap
	show    func(string) // gets the text piece by piece; nil when nobody watches
	done    chan struct{}
	decoder decoder
	text    strings.Builder
	dropped int64
}

func collect(f *os.File, limit pyexec.Bytes, show func(string)) *collector {
	c := &collector{file: f, left: int(limit), show: show, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		_, _ = io.CopyBuffer(c, struct{ io.Reader }{f}, make([]byte, 4<<10))
	}()
	return c
}

// Write implements io.Writer.
func (c *collector) Write(b []byte) (int, error) {
	keep := min(len(b), c.left)
	c.left -= keep
	c.dropped += int64(len(b) - keep)
	c.add(c.decoder.decode(b[:keep]))
	return len(b), nil
}

func (c *collector) add(text string) {
	if text == "" {
		return
	}
	c.text.WriteString(text)
	if c.show != nil {
		c.show(text)
	}
}

// finish waits for the end of the stream, at most for d, and returns its text
// as valid UTF-8, with a last line that says what was dropped.
func (c *collector) finish(d time.Duration) (string, int64) {
	_ = c.file.SetReadDeadline(time.Now().Add(d))
	<-c.done
	if c.dropped == 0 {
		c.add(c.decoder.end())
		return c.text.String(), 0
	}
	c.dropped += int64(len(c.decoder.cut)) // a character cut in two at the cap is dropped whole
	mark := fmt.Sprintf("[output truncated: %d bytes dropped]\n", c.dropped)
	if !strings.HasSuffix(c.text.String(), "\n") {
		mark = "\n" + mark
	}
	c.add(mark)
	return c.text.String(), c.dropped
}

// decoder makes valid UTF-8 of a stream that comes in pieces: the same text
// that strings.ToValidUTF8 makes of the whole with U+FFFD, wherever the pieces
// were cut.
type decoder struct {
	cut []byte // the beginning of a character whose end has not come
	bad bool   // U+FFFD stands for the bytes before, and for those that follow
}

func (d *decoder) decode(b []byte) string {
	if len(d.cut) > 0 {
		b = append(d.cut, b...)
		d.cut = nil
	}
	if !d.bad && utf8.Valid(b) {
		return string(b)
	}
	var text strings.Builder
	for len(b) > 0 && utf8.FullRune(b) {
		r, size := utf8.DecodeRune(b)
		bad := r == utf8.RuneError && size == 1
		switch {
		case !bad:
			text.Write(b[:size])
		case !d.bad:
			text.WriteRune(utf8.RuneError)
		}
		d.bad = bad
		b = b[size:]
	}
	d.cut = append(d.cut, b...)
	return text.String()
}

// end is the text of what was cut when no more will come.
func (d *decoder) end() string {
	if len(d.cut) == 0 || d.bad {
		return ""
	}
	return string(utf8.RuneError)
}
