package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that a container's pid 1 gets for its server.
var forwarded = []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2}

// isInit says whether this process is the first of a container: orphans become
// its children, and stay in the table of processes until it reaps them.
func isInit() bool { return os.Getpid() == 1 }

// runInit starts the command as a child, forwards signals to it, and reaps
// everything. It is a process of its own, since the server cannot tell an
// orphan from a child that os/exec still waits for. It returns the server's
// exit status.
func runInit() int {
	if err := harden(); err != nil { // its environment is the server's
		fmt.Fprintln(os.Stderr, "pyexec:", err)
		return exitFailure
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pyexec:", err)
		return exitFailure
	}
	server := exec.Command(self, os.Args[1:]...) //nolint:gosec // the server itself
	server.Stdin, server.Stdout, server.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := server.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "pyexec:", err)
		return exitFailure
	}
	go func() {
		for s := range signals {
			// An error means that it has ended, which reap is about to tell.
			_ = unix.Kill(server.Process.Pid, s.(unix.Signal))
		}
	}()
	return reap(server.Process.Pid)
}

// reap waits for children until the given one ends, and returns its exit
// status as a shell has it.
func reap(pid int) int {
	for {
		var status unix.WaitStatus
		switch ended, err := unix.Wait4(-1, &status, 0, nil); {
		case err == unix.EINTR:
		case err != nil:
			fmt.Fprintln(os.Stderr, "pyexec: wait:", err)
			return exitFailure
		case ended != pid:
		case status.Signaled():
			return 128 + int(status.Signal())
		case status.Exited():
			return status.ExitStatus()
		}
	}
}
