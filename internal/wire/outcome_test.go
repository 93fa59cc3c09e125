package wire_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	pyexec "github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/wire"
)

func frame(kind byte, payload string) string {
	size := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	return string(kind) + string(size) + payload
}

func small() pyexec.Limits {
	l := pyexec.DefaultLimits()
	l.Result, l.Depth, l.Message, l.Traceback, l.OutputFiles, l.OutputBytes = 64, 3, 16, 32, 2, 8
	return l
}

func TestReadOutcomeOfHostileBytes(t *testing.T) {
	file := func(path, content string) string {
		quoted, err := json.Marshal(path)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"path":%s,"content_base64":%q}`, quoted, content)
	}
	for name, tc := range map[string]struct {
		in   string
		want error
	}{
		"nothing":                  {"", io.EOF},
		"a kind alone":             {"R", io.ErrUnexpectedEOF},
		"half a header":            {"R\x00\x00", io.ErrUnexpectedEOF},
		"half a payload":           {frame('R', `"xxxxxx"`)[:8], io.ErrUnexpectedEOF},
		"an unknown kind":          {frame('Z', "1"), wire.ErrUnusable},
		"ready again":              {"Y" + frame('R', "1"), wire.ErrUnusable},
		"a failed step":            {frame('X', "{}"), wire.ErrUnusable},
		"text":                     {"hello", wire.ErrUnusable},
		"a length over the limit":  {"R\xff\xff\xff\xff", wire.ErrUnusable},
		"one byte over the limit":  {"R\x00\x00\x00\x41", wire.ErrUnusable},
		"an empty result":          {frame('R', ""), wire.ErrUnusable},
		"no JSON":                  {frame('R', "nul"), wire.ErrUnusable},
		"NaN":                      {frame('R', "NaN"), wire.ErrUnusable},
		"two values":               {frame('R', "1 2"), wire.ErrUnusable},
		"a duplicate key":          {frame('R', `{"a":1,"a":2}`), wire.ErrUnusable},
		"a disguised duplicate":    {frame('R', `{"a":1,"\u0061":2}`), wire.ErrUnusable},
		"a lone surrogate":         {frame('R', `"\ud800"`), wire.ErrUnusable},
		"bytes that are no UTF-8":  {frame('R', "\"\xff\""), wire.ErrUnusable},
		"too deep":                 {frame('R', "[[[[]]]]"), wire.ErrUnusable},
		"an error that is no JSON": {frame('E', "x"), wire.ErrUnusable},
		"an error without type":    {frame('E', `{"message":"m"}`), wire.ErrUnusable},
		"an unknown type":          {frame('E', `{"type":"overloaded"}`), wire.ErrUnusable},
		"a timeout":                {frame('E', `{"type":"timeout"}`), wire.ErrUnusable},
		"a signal":                 {frame('E', `{"type":"killed","signal":"SIGKILL"}`), wire.ErrUnusable},
		"a type in other letters":  {frame('E', `{"type":"exception","TYPE":"timeout"}`), wire.ErrUnusable},
		"an exit without status":   {frame('E', `{"type":"exited"}`), wire.ErrUnusable},
		"an exit status over 255":  {frame('E', `{"type":"exited","exit_status":256}`), wire.ErrUnusable},
		"a negative exit status":   {frame('E', `{"type":"exited","exit_status":-1}`), wire.ErrUnusable},
		"a line that overflows":    {frame('E', `{"type":"exception","line":1e99}`), wire.ErrUnusable},
		"files alone":              {frame('F', "[]"), io.EOF},
		"files twice":              {frame('F', "[]") + frame('F', "[]"), wire.ErrUnusable},
		"files that are no list":   {frame('F', "{}"), wire.ErrUnusable},
		"too many files":           {frame('F', "["+file("output/a", "")+","+file("output/b", "")+","+file("output/c", "")+"]"), wire.ErrUnusable},
		"too large files":          {frame('F', "["+file("output/a", "AAAAAAAA")+","+file("output/b", "AAAAAAAA")+"]"), wire.ErrUnusable},
		"content that is no text":  {frame('F', `[{"path":"output/a","content_base64":"?"}]`), wire.ErrUnusable},
		"a path outside":           {frame('F', "["+file("../a", "")+"]"), wire.ErrUnusable},
		"a path that climbs":       {frame('F', "["+file("output/../../a", "")+"]"), wire.ErrUnusable},
		"an absolute path":         {frame('F', "["+file("/etc/passwd", "")+"]"), wire.ErrUnusable},
		"an empty path":            {frame('F', "["+file("", "")+"]"), wire.ErrUnusable},
		"the folder itself":        {frame('F', "["+file("output/", "")+"]"), wire.ErrUnusable},
		"a path that rings":        {frame('F', "["+file("output/a\u0007", "")+"]"), wire.ErrUnusable},
		"a path of two lines":      {frame('F', "["+file("output/a\nb", "")+"]"), wire.ErrUnusable},
		"a path with a C1 control": {frame('F', "["+file("output/a\u009b2J", "")+"]"), wire.ErrUnusable},
		"a path that turns round":  {frame('F', "["+file("output/\u202etxt.exe", "")+"]"), wire.ErrUnusable},
		"a path with an isolate":   {frame('F', "["+file("output/\u2066a", "")+"]"), wire.ErrUnusable},
		"a path with a backslash":  {frame('F', "["+file(`output/..\a`, "")+"]"), wire.ErrUnusable},
		"a path that is no UTF-8":  {frame('F', "[{\"path\":\"output/\xff\",\"content_base64\":\"\"}]"), wire.ErrUnusable},
		"unusual, yet allowed":     {frame('F', "["+file("output/a\u00a0\u3000👨\u200d👩\u200f", "")+"]"), io.EOF},
		"a long path":              {frame('F', "["+file("output/"+strings.Repeat("a", 5000), "")+"]"), wire.ErrUnusable},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := wire.ReadOutcome(strings.NewReader(tc.in), small())
			if !errors.Is(err, tc.want) {
				t.Errorf("%+v, %v, want %v", out, err, tc.want)
			}
		})
	}
}

func TestOneOutcomeEndsTheStream(t *testing.T) {
	in := strings.NewReader(frame('R', "1") + frame('E', `{"type":"exception","message":"m"}`))
	out, err := wire.ReadOutcome(in, small())
	if err != nil || string(out.Value) != "1" || out.Failure != nil {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestFailureIsCutToItsFieldsAndLimits(t *testing.T) {
	long := strings.Repeat("é", 100)
	in := frame('E', fmt.Sprintf(`{"type":"exception","message":%q,"exception":"E","traceback":%q,"line":-3,
		"signal":"SIGKILL","limit_ms":1,"limit_mb":2,"limit_bytes":3,"exit_status":4}`, long, long))
	out, err := wire.ReadOutcome(strings.NewReader(in), small())
	if err != nil {
		t.Fatal(err)
	}
	want := pyexec.Failure{
		Type: pyexec.Exception, Message: strings.Repeat("é", 8), Exception: "E", Traceback: strings.Repeat("é", 16),
	}
	if *out.Failure != want {
		t.Errorf("got %+v, want %+v", *out.Failure, want)
	}
}

func TestReadReady(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "EOF",
		"Z":                        "bug: child began with frame 'Z'",
		"X":                        "unexpected EOF",
		"X\x00\xff\xff\xff":        "unusable bytes on the result pipe",
		frame('X', "{"):            "decode failed step: unexpected end of JSON input",
		frame('X', `{"step":"s"}`): "s:  ()",
	} {
		if err := wire.ReadReady(strings.NewReader(in)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
}

func TestClip(t *testing.T) {
	for _, tc := range []struct {
		in   string
		n    int
		want string
	}{
		{"", 0, ""},
		{"abc", 3, "abc"},
		{"abc", 2, "ab"},
		{"é", 1, ""},
		{"aé", 2, "a"},
		{"€uro", 3, "€"},
		{"\xff", 3, "\uFFFD"},
		{"\xff", 2, ""},
		{"a\U0001F600", 4, "a"},
	} {
		if got := wire.Clip(tc.in, tc.n); got != tc.want {
			t.Errorf("Clip(%q, %d) = %q, want %q", tc.in, tc.n, got, tc.want)
		}
	}
}

// A length alone allocates nothing.
func TestLengthAllocatesNothing(t *testing.T) {
	l := pyexec.DefaultLimits()
	in := "R\x00\x7f\xff\xff" // 8 MiB are announced, none come
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		_, _ = wire.ReadOutcome(strings.NewReader(in), l)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / 100; each > 64<<10 {
		t.Errorf("%d bytes were allocated for a length alone", each)
	}
}

func FuzzReadOutcome(f *testing.F) {
	for _, seed := range []string{
		"", "Y", frame('R', "1"), frame('R', `{"a":[1,"x"]}`), frame('E', `{"type":"exception","message":"m","line":3}`),
		frame('E', `{"type":"exited","exit_status":3}`), frame('E', `{"type":"timeout"}`),
		frame('F', `[{"path":"output/a","content_base64":"AA=="}]`) + frame('R', "null"), "R\xff\xff\xff\xff",
	} {
		f.Add([]byte(seed))
	}
	allowed := vectors(f).Reportable
	f.Fuzz(func(t *testing.T, in []byte) {
		l := small()
		out, err := wire.ReadOutcome(bytes.NewReader(in), l)
		if err != nil {
			known := errors.Is(err, wire.ErrUnusable) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
			if !known || out.Value != nil || out.Failure != nil || out.Files != nil {
				t.Fatalf("%+v, %v", out, err)
			}
			return
		}
		if (out.Value == nil) == (out.Failure == nil) {
			t.Fatalf("neither or both: %+v", out)
		}
		if len(out.Value) > int(l.Result) || cap(out.Value) > 2*max(int(l.Result), 512) {
			t.Fatalf("a value of %d bytes in %d, of at most %d", len(out.Value), cap(out.Value), l.Result)
		}
		if out.Value != nil && !json.Valid(out.Value) {
			t.Fatalf("no JSON: %q", out.Value)
		}
		total := 0
		for _, file := range out.Files {
			total += len(file.Content)
			if !fs.ValidPath(file.Path) {
				t.Fatalf("path %q", file.Path)
			}
		}
		if len(out.Files) > l.OutputFiles || total > int(l.OutputBytes) {
			t.Fatalf("%d files of %d bytes", len(out.Files), total)
		}
		if x := out.Failure; x != nil {
			if !slices.Contains(allowed, x.Type) || x.Signal != "" || x.LimitMS != 0 || x.LimitMB != 0 || x.LimitBytes != 0 {
				t.Fatalf("failure %+v", x)
			}
			if len(x.Message) > int(l.Message) || len(x.Traceback) > int(l.Traceback) || !utf8.ValidString(x.Message+x.Traceback) {
				t.Fatalf("texts of failure %+v", x)
			}
		}
	})
}
