package main

import (
	"context"
	"errors"
	"net/http"
	"syscall"

	"github.com/python-code-executor/pyexec/client"
)

// Exit statuses: small ones tell of a script, those of sysexits(3) of us.
const (
	exitFailure     = 1
	exitScript      = 1
	exitRefused     = 2
	exitLimit       = 3
	exitUsage       = 64
	exitNoInput     = 66
	exitUnavailable = 69
	exitInternal    = 70
	exitCannotWrite = 73
	exitTryLater    = 75
	exitNoPermit    = 77
	exitConfig      = 78 // the configuration, or the isolation it asks for, cannot be had
	exitInterrupt   = 130
	exitPipe        = 141 // as of a process that SIGPIPE ends
)

const exitHelp = `Exit status:
  0    main returned
  1    the script failed: exception, exited, killed, invalid_result
  2    the script or the request was refused: syntax_error, missing_main,
       missing_return, policy_violation, invalid_request, too_large
  3    the script went over a limit: timeout, memory_limit, output_limit, disk_limit
  64   wrong usage          66   a file cannot be read
  69   no server, or it cannot run scripts      70   the server has a fault
  73   a file cannot be written                 75   refused, not begun: try again later
  77   the key is missing or not allowed this   78   the configuration cannot work
  130  interrupted          141  nobody reads the output any more`

// exitOfWrite is the exit status for an error of a write of ours.
func exitOfWrite(err error) int {
	if errors.Is(err, syscall.EPIPE) {
		return exitPipe
	}
	return exitCannotWrite
}

// exitOf is the exit status for an error of a call to a server.
func exitOf(err error) int {
	var e *client.Error
	if !errors.As(err, &e) {
		if errors.Is(err, context.Canceled) {
			return exitInterrupt
		}
		return exitUnavailable
	}
	switch e.Type {
	case client.Exception, client.Exited, client.Killed, client.InvalidResult:
		return exitScript
	case client.Timeout, client.MemoryLimit, client.OutputLimit, client.DiskLimit:
		return exitLimit
	case client.Unauthenticated, client.Forbidden:
		return exitNoPermit
	case client.Internal:
		if e.Status != http.StatusInternalServerError { // a proxy's, with no server behind it that we know of
			return exitUnavailable
		}
		return exitInternal
	}
	switch {
	case e.Retryable():
		return exitTryLater
	case e.Status == http.StatusBadRequest || e.Status == http.StatusRequestEntityTooLarge:
		return exitRefused
	default:
		return exitUnavailable
	}
}
