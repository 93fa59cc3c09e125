package seccomp

import (
	"fmt"
	"reflect"
)

// Offsets in struct seccomp_data.
const (
	offNr   = 0
	offArch = 4
	offArgs = 16 // six of 8 bytes, little endian: the low half comes first
)

// Operation codes of classic BPF that a filter uses (linux/bpf_common.h).
const (
	opLoad = 0x20 // BPF_LD  | BPF_W | BPF_ABS
	opAnd  = 0x54 // BPF_ALU | BPF_AND | BPF_K
	opJa   = 0x05 // BPF_JMP | BPF_JA
	opJeq  = 0x15 // BPF_JMP | BPF_JEQ | BPF_K
	opJgt  = 0x25 // BPF_JMP | BPF_JGT | BPF_K
	opJge  = 0x35 // BPF_JMP | BPF_JGE | BPF_K
	opRet  = 0x06 // BPF_RET | BPF_K
)

// maxLen is the kernel's limit, BPF_MAXINSNS.
const maxLen = 4096

// span is a range of call numbers, from first up to the next span, that share
// their rules.
type span struct {
	first uint32
	rules []rule
}

func compile(p *policy, a architecture) (Program, error) {
	tree, err := search(spans(p, a))
	if err != nil {
		return nil, err
	}
	prog := Program{
		{opLoad, 0, 0, offArch},
		{opJeq, 1, 0, a.audit},
		{opRet, 0, 0, retErrno | enosys},
		{opLoad, 0, 0, offNr},
	}
	if a.x32 {
		prog = append(prog, Instruction{opJge, 0, 1, x32Bit}, Instruction{opRet, 0, 0, retErrno | enosys})
	}
	prog = append(prog, tree...)
	if len(prog) > maxLen {
		return nil, fmt.Errorf("%d instructions, the kernel takes %d", len(prog), maxLen)
	}
	return prog, nil
}

// spans lays the policy over the numbers of an architecture and joins
// neighbours that are treated alike.
func spans(p *policy, a architecture) []span {
	byNumber := map[uint32][]rule{}
	top := uint32(0)
	for name, nr := range a.numbers {
		if rules := p.calls[name]; rules != nil {
			byNumber[uint32(nr)] = rules //nolint:gosec // bounded far below
			top = max(top, uint32(nr))   //nolint:gosec // bounded far below
		}
	}
	fallback := []rule{{action: p.fallback}}
	var out []span
	for nr := uint32(0); nr <= top+1; nr++ {
		rules, ok := byNumber[nr]
		if !ok {
			rules = fallback
		}
		if n := len(out); n == 0 || !sameRules(out[n-1].rules, rules) {
			out = append(out, span{nr, rules})
		}
	}
	return out
}

// sameRules ignores reasons, which leave no trace in the filter.
func sameRules(a, b []rule) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].action != b[i].action || !reflect.DeepEqual(a[i].tests, b[i].tests) {
			return false
		}
	}
	return true
}

// search is a binary search over spans. Every block ends in a return and
// jumps only inside itself, so blocks can be put one after the other.
func search(s []span) ([]Instruction, error) {
	if len(s) == 1 {
		return block(s[0].rules)
	}
	mid := len(s) / 2
	low, err := search(s[:mid])
	if err != nil {
		return nil, err
	}
	high, err := search(s[mid:])
	if err != nil {
		return nil, err
	}
	var out []Instruction
	if len(low) <= 255 {
		out = append(out, Instruction{opJge, uint8(len(low)), 0, s[mid].first}) //nolint:gosec // bounded far below
	} else { // a conditional jump reaches 255 only, an unconditional one any distance
		out = append(out, Instruction{opJge, 0, 1, s[mid].first}, Instruction{opJa, 0, 0, uint32(len(low))}) //nolint:gosec // bounded far below
	}
	return append(append(out, low...), high...), nil
}

// block is the code of one call: its rules in order, the last one without
// conditions.
func block(rules []rule) ([]Instruction, error) {
	var out []Instruction
	for _, r := range rules {
		code, err := ruleCode(r)
		if err != nil {
			return nil, err
		}
		out = append(out, code...)
	}
	return out, nil
}

// ruleCode returns the action if all tests hold, and otherwise goes past its
// own end.
func ruleCode(r rule) ([]Instruction, error) {
	type jump struct{ at int } // instruction whose jf leaves the rule
	var out []Instruction
	var leave []jump
	for _, t := range r.tests {
		out = append(out, Instruction{opLoad, 0, 0, uint32(offArgs + 8*t.arg)}) //nolint:gosec // bounded far below
		if t.mask != 0xffffffff {
			if t.mask == SelfPID {
				return nil, fmt.Errorf("bug: a mask equals SelfPID")
			}
			out = append(out, Instruction{opAnd, 0, 0, t.mask})
		}
		if t.atMost {
			out = append(out, Instruction{opJgt, 0, 0, t.values[0]})
			leave = append(leave, jump{len(out) - 1})
			continue
		}
		for i, v := range t.values {
			left := len(t.values) - 1 - i
			if left > 255 {
				return nil, fmt.Errorf("too many values in one condition")
			}
			out = append(out, Instruction{opJeq, uint8(left), 0, v})
		}
		leave = append(leave, jump{len(out) - 1})
	}
	out = append(out, Instruction{opRet, 0, 0, r.action})
	for _, j := range leave {
		off := len(out) - 1 - j.at
		if off > 255 {
			return nil, fmt.Errorf("a rule is too long for its jumps")
		}
		if out[j.at].Op == opJgt {
			out[j.at].JT = uint8(off) //nolint:gosec // bounded far below
		} else {
			out[j.at].JF = uint8(off) //nolint:gosec // bounded far below
		}
	}
	return out, nil
}
