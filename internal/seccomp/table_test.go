package seccomp

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/*.table anew")

const (
	lastNumber = 470
	auditI386  = 0x40000003
)

var archs = map[string]architecture{"amd64": amd64, "arm64": arm64}

func must(t *testing.T, v Variant, goarch string) Program {
	t.Helper()
	p, err := CompileFor(v, goarch)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func run(t *testing.T, p Program, d Data) string {
	t.Helper()
	action, err := p.Run(d)
	if err != nil {
		t.Fatalf("%+v: %v", d, err)
	}
	if action == retAllow {
		return "allow"
	}
	if name := errnoName(action); name != "" {
		return name
	}
	return fmt.Sprintf("action %#x", action)
}

func fill(v uint64) (a [6]uint64) {
	for i := range a {
		a[i] = v
	}
	return a
}

// Every number is simulated with all arguments 0, all "self", and all ones, so
// that a change of the policy is a visible change of a table.
func TestEveryNumberAgainstTheTable(t *testing.T) {
	for _, v := range []Variant{Child, Slot} {
		pol, err := load(v)
		if err != nil {
			t.Fatal(err)
		}
		for goarch, a := range archs {
			prog := must(t, v, goarch)
			var b strings.Builder
			fmt.Fprintf(&b, "# %s on %s: number, name, decision; three where these differ: arguments all 0, all own pid, all ones\n", v, goarch)
			names := map[int]string{}
			for name, nr := range a.numbers {
				names[nr] = name
			}
			for nr := 0; nr <= lastNumber; nr++ {
				var got []string
				for _, arg := range []uint64{0, SelfPID, 0xffffffffffffffff} {
					got = append(got, run(t, prog, Data{Nr: uint32(nr), Arch: a.audit, Args: fill(arg)}))
				}
				if got[0] == got[1] && got[1] == got[2] {
					got = got[:1]
				}
				name := names[nr]
				if len(pol.calls[name]) > 1 {
					got = append(got, "by-argument")
				}
				if name == "" {
					name = "-"
				}
				fmt.Fprintf(&b, "%d %s %s\n", nr, name, strings.Join(got, " "))
			}
			file := filepath.Join("testdata", string(v)+"."+goarch+".table")
			if *update {
				if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
				t.Errorf("%s (-want +got, -update writes it anew):\n%s", file, diff)
			}
		}
	}
}

func TestOtherTablesOfTheMachineAreENOSYS(t *testing.T) {
	for _, v := range []Variant{Child, ChildPairs, ChildEgress, Slot} {
		for goarch, a := range archs {
			prog := must(t, v, goarch)
			for nr := uint32(0); nr <= lastNumber; nr++ {
				foreign := []Data{{Nr: nr, Arch: auditI386}, {Nr: nr, Arch: 0}, {Nr: nr, Arch: amd64.audit ^ arm64.audit ^ a.audit}}
				if a.x32 {
					foreign = append(foreign, Data{Nr: nr | x32Bit, Arch: a.audit}, Data{Nr: nr | 0x80000000, Arch: a.audit})
				}
				for _, d := range foreign {
					if got := run(t, prog, d); got != "ENOSYS" {
						t.Errorf("%s on %s: %+v: %s", v, goarch, d, got)
					}
				}
			}
			if v != Slot {
				for _, nr := range []uint32{468, 469, 500, 1000, 0x3fffffff, 0xffffffff} {
					if got := run(t, prog, Data{Nr: nr, Arch: a.audit}); got != "ENOSYS" {
						t.Errorf("%s on %s: number %d, of a kernel to come: %s", v, goarch, nr, got)
					}
				}
			}
		}
	}
}

// The compiled program decides as the parsed policy reads, for each call, over
// arguments near every constant that the policy has.
func TestProgramDecidesAsThePolicyReads(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, v := range []Variant{Child, ChildPairs, ChildEgress, Slot} {
		p, err := load(v)
		if err != nil {
			t.Fatal(err)
		}
		pool := []uint32{0, 1, 0xffffffff, 0x80000000, SelfPID}
		for _, c := range p.consts {
			pool = append(pool, c, c-1, c+1, ^c)
		}
		for goarch, a := range archs {
			prog := must(t, v, goarch)
			for name, nr := range a.numbers {
				rules, ok := p.calls[name]
				if !ok {
					rules = []rule{{action: p.fallback}}
				}
				tries := 1
				if len(rules) > 1 {
					tries = 3000
				}
				for range tries {
					d := Data{Nr: uint32(nr), Arch: a.audit}
					for i := range d.Args { // the high half must not count
						d.Args[i] = uint64(pool[rnd.IntN(len(pool))]) | uint64(rnd.Uint32())<<32
					}
					got, err := prog.Run(d)
					if want := read(rules, d); err != nil || got != want {
						t.Fatalf("%s on %s: %s%x: %#x, %v; the policy says %#x", v, goarch, name, d.Args, got, err, want)
					}
				}
			}
		}
	}
}

// read is the meaning of rules, written apart from the compiler.
func read(rules []rule, d Data) uint32 {
next:
	for _, r := range rules {
		for _, ts := range r.tests {
			v, hit := uint32(d.Args[ts.arg])&ts.mask, false
			for _, want := range ts.values {
				hit = hit || v == want || ts.atMost && v < want
			}
			if !hit {
				continue next
			}
		}
		return r.action
	}
	panic("no rule without conditions")
}

func TestShapeOfPrograms(t *testing.T) {
	for _, v := range []Variant{Child, ChildPairs, ChildEgress, Slot} {
		for goarch := range archs {
			prog := must(t, v, goarch)
			if len(prog.Bytes()) != 8*len(prog) {
				t.Errorf("%s: %d bytes for %d instructions", v, len(prog.Bytes()), len(prog))
			}
			for pc, in := range prog { // what the kernel's checker demands: forward, inside, ended
				far := 0
				switch in.Op {
				case opJeq, opJge, opJgt:
					far = int(max(in.JT, in.JF))
				case opJa:
					far = int(in.K)
				}
				if in.Op != opRet && pc+1+far >= len(prog) {
					t.Errorf("%s on %s: instruction %d leaves the program", v, goarch, pc)
				}
				if in.Op == opRet && in.K != retAllow && errnoName(in.K) == "" {
					t.Errorf("%s on %s: instruction %d returns %#x: nothing may kill", v, goarch, pc, in.K)
				}
				if in.K == SelfPID && in.Op != opJeq {
					t.Errorf("%s on %s: instruction %d uses the number kept for the own pid", v, goarch, pc)
				}
			}
			// The child may put its pid in by one replacement of four bytes.
			fields := 0
			for _, in := range prog {
				if in.K == SelfPID {
					fields++
				}
			}
			if n := bytes.Count(prog.Bytes(), binary.LittleEndian.AppendUint32(nil, SelfPID)); n != fields || v != Slot && n == 0 {
				t.Errorf("%s on %s: SelfPID is in %d fields and %d places", v, goarch, fields, n)
			}
			deepest := 0
			for nr := range uint32(lastNumber) {
				deepest = max(deepest, steps(t, prog, nr, archs[goarch].audit))
			}
			if deepest > 60 {
				t.Errorf("%s on %s: %d instructions for one call", v, goarch, deepest)
			}
		}
	}
}

// steps counts the instructions run for a number with arguments that fit no
// condition.
func steps(t *testing.T, p Program, nr, audit uint32) int {
	t.Helper()
	for n := 1; ; n++ { // cut the program's life short until it ends by itself
		if _, err := p.runFor(Data{Nr: nr, Arch: audit, Args: fill(0xfffffffe)}, n); err == nil {
			return n
		} else if n > maxLen {
			t.Fatal(err)
		}
	}
}
