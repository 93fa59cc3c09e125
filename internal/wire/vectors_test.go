package wire_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyexec "github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/wire"
)

// protocol is testdata/protocol.json, which runner/tests/test_wire.py reads, too.
type protocol struct {
	Kinds  map[string]string `json:"kinds"`
	Frames []struct {
		Kind    string `json:"kind"`
		Payload string `json:"payload"`
		Hex     string `json:"hex"`
	} `json:"frames"`
	Request struct {
		Keys     []string `json:"keys"`
		Optional []string `json:"optional"`
		File     []string `json:"file_keys"`
		Limits   []string `json:"limit_keys"`
		Policies []string `json:"policies"`
	} `json:"request"`
	Reportable []pyexec.FailureType `json:"reportable"`
}

func vectors(t testing.TB) protocol {
	t.Helper()
	text, err := os.ReadFile("testdata/protocol.json")
	if err != nil {
		t.Fatal(err)
	}
	var p protocol
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestVectorsKinds(t *testing.T) {
	want := map[string]string{
		"ready": string(rune(wire.Ready)), "failed": string(rune(wire.Failed)), "result": string(rune(wire.Result)),
		"error": string(rune(wire.Error)), "files": string(rune(wire.Files)),
	}
	p := vectors(t)
	if diff := cmp.Diff(want, p.Kinds); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{wire.PolicyStandard, wire.PolicyStrict, wire.PolicyOff}, p.Request.Policies); diff != "" {
		t.Error(diff)
	}
}

func TestVectorsFrames(t *testing.T) {
	p := vectors(t)
	for _, f := range p.Frames {
		frame, err := hex.DecodeString(f.Hex)
		if err != nil {
			t.Fatal(err)
		}
		r := bytes.NewReader(frame)
		switch f.Kind {
		case "ready":
			if err := wire.ReadReady(r); err != nil {
				t.Errorf("%s: %v", f.Hex, err)
			}
		case "failed":
			var failed, want *wire.StepFailed
			if err := json.Unmarshal([]byte(f.Payload), &want); err != nil {
				t.Fatal(err)
			}
			if err := wire.ReadReady(r); !errors.As(err, &failed) || *failed != *want {
				t.Errorf("%s: %v, want %v", f.Hex, err, want)
			}
		case "result":
			out, err := wire.ReadOutcome(r, pyexec.DefaultLimits())
			if err != nil || string(out.Value) != f.Payload {
				t.Errorf("%s: %s, %v", f.Hex, out.Value, err)
			}
		case "error":
			out, err := wire.ReadOutcome(r, pyexec.DefaultLimits())
			if err != nil || out.Failure == nil || out.Failure.Type != pyexec.MissingMain {
				t.Errorf("%s: %+v, %v", f.Hex, out.Failure, err)
			}
		case "files":
			out, err := wire.ReadOutcome(bytes.NewReader(append(frame, "R\x00\x00\x00\x011"...)), pyexec.DefaultLimits())
			want := []pyexec.File{{Path: "output/a", Content: []byte{0, 1}}}
			if err != nil || cmp.Diff(want, out.Files) != "" {
				t.Errorf("%s: %+v, %v", f.Hex, out.Files, err)
			}
		default:
			t.Errorf("frame of unknown kind %q", f.Kind)
		}
	}
}

func TestVectorsRequest(t *testing.T) {
	p := vectors(t)
	full := pyexec.Request{
		Script: "s", Input: json.RawMessage(`[1]`), Env: map[string]string{"A": "b"},
		Files: []pyexec.File{{Path: "a", Content: []byte("x")}}, Timeout: time.Second, Memory: pyexec.MiB, Details: true,
	}
	set := wire.Setting{Policy: wire.PolicyStrict, AddressSpace: true, Limits: pyexec.DefaultLimits()}
	if diff := cmp.Diff(sorted(p.Request.Keys), keys(t, full, set)); diff != "" {
		t.Error(diff)
	}
	always := slices.DeleteFunc(slices.Clone(p.Request.Keys), func(k string) bool { return slices.Contains(p.Request.Optional, k) })
	if diff := cmp.Diff(sorted(always), keys(t, pyexec.Request{}, wire.Setting{})); diff != "" {
		t.Error(diff)
	}
	body := decode(t, full, set)
	var files []map[string]any
	var limits map[string]any
	unmarshal(t, body["files"], &files)
	unmarshal(t, body["limits"], &limits)
	if diff := cmp.Diff(sorted(p.Request.File), slices.Sorted(maps.Keys(files[0]))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(sorted(p.Request.Limits), slices.Sorted(maps.Keys(limits))); diff != "" {
		t.Error(diff)
	}
}

func keys(t *testing.T, req pyexec.Request, set wire.Setting) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(decode(t, req, set)))
}

// decode reads a request frame as the child does.
func decode(t *testing.T, req pyexec.Request, set wire.Setting) map[string]json.RawMessage {
	t.Helper()
	frame, err := wire.EncodeRequest(req, set)
	if err != nil {
		t.Fatal(err)
	}
	if size := binary.BigEndian.Uint32(frame); int(size) != len(frame)-4 {
		t.Fatalf("header says %d bytes, there are %d", size, len(frame)-4)
	}
	var body map[string]json.RawMessage
	unmarshal(t, frame[4:], &body)
	return body
}

func unmarshal(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }
