package seccomp

import (
	"fmt"

	"github.com/elastic/go-seccomp-bpf/arch"
)

// architecture is what a filter must know of a machine.
type architecture struct {
	audit   uint32 // AUDIT_ARCH_*, what seccomp_data.arch holds
	x32     bool   // has a second table, marked by a bit in the number
	numbers map[string]int
}

// x32Bit marks a call by the x32 table (asm/unistd.h, __X32_SYSCALL_BIT).
const x32Bit = 0x40000000

var (
	amd64 = architecture{audit: uint32(arch.X86_64.ID), x32: true, numbers: arch.X86_64.SyscallNames}
	arm64 = architecture{audit: uint32(arch.AARCH64.ID), numbers: renamed(arch.AARCH64.SyscallNames, "fstatat", "newfstatat")}
)

func archOf(goarch string) (architecture, error) {
	switch goarch {
	case "amd64":
		return amd64, nil
	case "arm64":
		return arm64, nil
	}
	return architecture{}, fmt.Errorf("seccomp: no system call table for %s", goarch)
}

func known(name string) bool {
	_, a := amd64.numbers[name]
	_, b := arm64.numbers[name]
	return a || b
}

// renamed copies a table with one call under the name that Docker's profile
// and the other architecture use.
func renamed(table map[string]int, from, to string) map[string]int {
	out := make(map[string]int, len(table))
	for name, nr := range table {
		if name == from {
			name = to
		}
		out[name] = nr
	}
	return out
}
