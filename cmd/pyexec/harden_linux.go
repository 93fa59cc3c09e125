package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// harden closes the server to processes of its own uid: at the levels without
// a pid namespace a run has that uid, and /proc/PID/environ and ptrace are
// refused only because the server is not dumpable.
func harden() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("become not dumpable: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("rlimit core: %w", err)
	}
	return nil
}
