package pyexec

import (
	"fmt"
	"time"
)

// Bytes is a size. Its text form uses binary units.
type Bytes int64

// Binary units.
const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
)

// String writes the size in the largest unit that divides it.
func (b Bytes) String() string {
	for _, u := range []struct {
		size Bytes
		name string
	}{{GiB, "GiB"}, {MiB, "MiB"}, {KiB, "KiB"}} {
		if b >= u.size && b%u.size == 0 {
			return fmt.Sprintf("%d %s", b/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d B", int64(b))
}

// MB is the size in units of 2^20 bytes, the unit of memory_mb and limit_mb.
func (b Bytes) MB() int64 { return int64(b / MiB) }

// Limits bound one run. The server's limits are the most a request may ask
// for; a request may only lower Timeout and Memory.
type Limits struct {
	Timeout   time.Duration
	Memory    Bytes
	MinMemory Bytes // the least a request may lower Memory to

	Body   Bytes // request body
	Script Bytes
	Stdout Bytes
	Stderr Bytes
	Result Bytes // encoded as JSON
	Depth  int   // nesting of result and of request JSON

	Message         Bytes // an error's message
	Traceback       Bytes
	TracebackFrames int

	Disk        Bytes // /tmp and the working directory together
	DiskFiles   int
	OutputFiles int   // files returned from output/
	OutputBytes Bytes // their size together

	Threads   int
	OpenFiles int
}

// DefaultLimits are the limits of the HTTP contract.
func DefaultLimits() Limits {
	return Limits{
		Timeout:   10 * time.Second,
		Memory:    512 * MiB,
		MinMemory: 64 * MiB,

		Body:   2 * MiB,
		Script: 1 * MiB,
		Stdout: 1 * MiB,
		Stderr: 1 * MiB,
		Result: 8 * MiB,
		Depth:  200,

		Message:         1 * KiB,
		Traceback:       8 * KiB,
		TracebackFrames: 20,

		Disk:        64 * MiB,
		DiskFiles:   4096,
		OutputFiles: 32,
		OutputBytes: 8 * MiB,

		Threads:   64,
		OpenFiles: 128,
	}
}
