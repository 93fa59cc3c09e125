package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be pid 1 of a namespace and, below that, the
// server: TEST_INIT tells it.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("TEST_INIT") == "":
		os.Exit(m.Run())
	case isInit():
		os.Exit(runInit())
	default:
		os.Exit(fakeServer())
	}
}

// fakeServer leaves an orphan to pid 1, waits until it has been reaped, then
// says so, and exits with 7 on SIGTERM.
func fakeServer() int {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, unix.SIGTERM)
	out, err := exec.Command("sh", "-c", "sleep 0.2 >/dev/null 2>&1 & echo $!").Output()
	if err != nil {
		return 1
	}
	orphan, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || unix.Kill(orphan, 0) != nil {
		return 2
	}
	for deadline := time.Now().Add(20 * time.Second); !errors.Is(unix.Kill(orphan, 0), unix.ESRCH); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return 3 // a zombie can be signalled
		}
	}
	fmt.Println("reaped")
	<-terminated
	return 7
}

func TestInitReapsForwardsAndPassesTheStatusOn(t *testing.T) {
	cmd := exec.Command("/proc/self/exe", "serve")
	cmd.Env = append(os.Environ(), "TEST_INIT=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start pid 1 of a namespace: %v", err)
	}
	said, _ := bufio.NewReader(stdout).ReadString('\n')
	if said != "reaped\n" {
		t.Errorf("the orphan was not reaped: %q", said)
	}
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("pid 1 exited with %v, its server with 7", err)
	}
}
