package jail

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	pyexec "github.com/python-code-executor/pyexec"
)

// collected is what a collector makes of pieces that come one by one, and what
// it shows of them.
func collected(t interface{ Fatal(...any) }, limit int, pieces [][]byte) (text string, dropped int64, shown []string) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := collect(r, pyexec.Bytes(limit), func(s string) { shown = append(shown, s) })
	for _, p := range pieces {
		if _, err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	text, dropped = c.finish(drainTime)
	return text, dropped, shown
}

func TestTextIsTheSameWhereverThePiecesAreCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Bytes that make characters of all lengths, and wrong ones.
		alphabet := rapid.SampledFrom([]string{"a", "\n", "é", "€", "😀", "\xff", "\xe2", "\xf0\x9f", "\x80", "\xc0"})
		parts := rapid.SliceOfN(alphabet, 0, 20).Draw(t, "parts")
		whole := strings.Join(parts, "")
		var d decoder
		var got strings.Builder
		for rest := whole; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "cut")
			piece := d.decode([]byte(rest[:n]))
			if piece != strings.ToValidUTF8(piece, "?") {
				t.Fatalf("a piece is %q, which is not UTF-8", piece)
			}
			got.WriteString(piece)
			rest = rest[n:]
		}
		got.WriteString(d.end())
		if want := strings.ToValidUTF8(whole, "\uFFFD"); got.String() != want {
			t.Fatalf("%q became %q, want %q", whole, got.String(), want)
		}
	})
}

func TestCollectorCapsAndMarks(t *testing.T) {
	for _, tt := range []struct {
		written string
		limit   int
		text    string
		dropped int64
	}{
		{"", 4, "", 0},
		{"abcd", 4, "abcd", 0},
		{"abcde", 4, "abcd\n[output truncated: 1 bytes dropped]\n", 1},
		{"abc\nx", 4, "abc\n[output truncated: 1 bytes dropped]\n", 1},
		{"ab€x", 4, "ab\n[output truncated: 4 bytes dropped]\n", 4}, // the character at the cap goes whole
		{"ab€", 5, "ab€", 0},
		{"ab\xe2\x82", 9, "ab\uFFFD", 0},
		{"\xff\xff", 9, "\uFFFD", 0},
	} {
		for _, size := range []int{1, 3, 100} {
			t.Run(fmt.Sprintf("%q in pieces of %d", tt.written, size), func(t *testing.T) {
				var pieces [][]byte
				for r := strings.NewReader(tt.written); r.Len() > 0; {
					p, err := io.ReadAll(io.LimitReader(r, int64(size)))
					if err != nil {
						t.Fatal(err)
					}
					pieces = append(pieces, p)
				}
				text, dropped, shown := collected(t, tt.limit, pieces)
				if text != tt.text || dropped != tt.dropped {
					t.Errorf("got %q and %d dropped, want %q and %d", text, dropped, tt.text, tt.dropped)
				}
				if all := strings.Join(shown, ""); all != text {
					t.Errorf("shown was %q, answered %q", all, text)
				}
			})
		}
	}
}
