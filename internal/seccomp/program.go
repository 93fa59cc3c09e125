package seccomp

import (
	"encoding/binary"
	"fmt"
)

// Instruction is the kernel's struct sock_filter.
type Instruction struct {
	Op     uint16
	JT, JF uint8
	K      uint32
}

// Program is a filter.
type Program []Instruction

// Bytes is the program as an array of struct sock_filter, 8 bytes each, little
// endian as all architectures here are: the memory that struct sock_fprog
// points at. It still holds SelfPID.
func (p Program) Bytes() []byte {
	out := make([]byte, 0, 8*len(p))
	for _, in := range p {
		out = binary.LittleEndian.AppendUint16(out, in.Op)
		out = append(out, in.JT, in.JF)
		out = binary.LittleEndian.AppendUint32(out, in.K)
	}
	return out
}

// WithSelf is the program with SelfPID replaced by pid, as the child does it.
func (p Program) WithSelf(pid uint32) Program {
	out := append(Program(nil), p...)
	for i := range out {
		if out[i].K == SelfPID {
			out[i].K = pid
		}
	}
	return out
}

// Data is the kernel's struct seccomp_data without the instruction pointer,
// which no filter here looks at.
type Data struct {
	Nr   uint32
	Arch uint32
	Args [6]uint64
}

// Run does what the kernel does with the program: it returns the action. It
// accepts only what the kernel accepts in a filter, and is meant for tests
// and for explaining a refusal.
func (p Program) Run(d Data) (uint32, error) {
	return p.runFor(d, len(p))
}

// runFor is Run for at most so many instructions.
func (p Program) runFor(d Data, steps int) (uint32, error) {
	var acc uint32
	for pc := 0; pc < len(p) && steps > 0; pc, steps = pc+1, steps-1 {
		in := p[pc]
		var hold bool
		switch in.Op {
		case opLoad:
			v, err := d.load(in.K)
			if err != nil {
				return 0, err
			}
			acc = v
			continue
		case opAnd:
			acc &= in.K
			continue
		case opJa:
			pc += int(in.K)
			continue
		case opRet:
			return in.K, nil
		case opJeq:
			hold = acc == in.K
		case opJgt:
			hold = acc > in.K
		case opJge:
			hold = acc >= in.K
		default:
			return 0, fmt.Errorf("seccomp: instruction %d: operation %#x", pc, in.Op)
		}
		if hold {
			pc += int(in.JT)
		} else {
			pc += int(in.JF)
		}
	}
	return 0, fmt.Errorf("seccomp: ran past the end")
}

func (d Data) load(off uint32) (uint32, error) {
	switch {
	case off == offNr:
		return d.Nr, nil
	case off == offArch:
		return d.Arch, nil
	case off >= offArgs && off < offArgs+48 && off%4 == 0:
		arg := d.Args[(off-offArgs)/8]
		if off%8 == 4 {
			arg >>= 32
		}
		return uint32(arg), nil
	}
	return 0, fmt.Errorf("seccomp: load at %d", off)
}
