package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/term"
)

// ui is where a command writes. Colours and progress are for people alone.
type ui struct {
	out            *output
	err            io.Writer
	outTTY, errTTY bool
	colour         bool // on err
}

func newUI() ui {
	errTTY := term.IsTerminal(int(os.Stderr.Fd()))
	plain := os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" // https://no-color.org
	return ui{
		out: &output{w: os.Stdout}, err: os.Stderr,
		outTTY: term.IsTerminal(int(os.Stdout.Fd())), errTTY: errTTY, colour: errTTY && !plain,
	}
}

// output remembers the first write that failed: those of package fmt, which
// nobody asks for their errors, count as well. Only one goroutine writes.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// Colours of the terminal, by ECMA-48.
const (
	red  = "31"
	dim  = "2"
	bold = "1"
)

func (u ui) paint(colour, s string) string {
	if !u.colour || s == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// fail writes why the command could not do what it was asked for. Names and
// words of scripts and servers may be in it, as in a note.
func (u ui) fail(format string, args ...any) {
	fmt.Fprintf(u.err, "%s %s\n", u.paint(red, "pyexec:"), u.safe(u.errTTY, fmt.Sprintf(format, args...)))
}

// note writes what only a person wants to know.
func (u ui) note(format string, args ...any) {
	if u.errTTY {
		fmt.Fprintln(u.err, u.paint(dim, u.safe(true, fmt.Sprintf(format, args...))))
	}
}

// safe is text from a script as a terminal may have it: control characters,
// which can do much more there than colour a word, are written out.
func (u ui) safe(terminal bool, text string) string {
	if !terminal || !strings.ContainsFunc(text, isControl) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if isControl(r) {
			fmt.Fprintf(&b, "\\x%02x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isControl(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r'
}

// progress shows text, made anew every quarter second, from one second on, and
// until done is called, which may be done more than once.
func (u ui) progress(text func() string) (done func()) {
	if !u.errTTY {
		return func() {}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		shown, next := false, time.After(time.Second)
		for {
			select {
			case <-stop:
				if shown {
					fmt.Fprint(u.err, "\r\x1b[K")
				}
				return
			case <-next:
				fmt.Fprintf(u.err, "\r\x1b[K%s", u.paint(dim, text()))
				shown, next = true, time.After(250*time.Millisecond)
			}
		}
	}()
	var once sync.Once
	return func() { once.Do(func() { close(stop); <-stopped }) }
}
