package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// server is a pyexec serve that this command started.
type server struct {
	url    string
	pid    int
	began  time.Time // just before exec
	cmd    *exec.Cmd
	exited chan struct{}
	log    lastLines
	group  string // its cgroup, for CPU time; "" where there is none
	usage  func() (time.Duration, error)
}

const startPatience, stopPatience = 60 * time.Second, 30 * time.Second

// lastLines is the end of the log, for failures.
type lastLines struct{ lines atomic.Pointer[[]string] }

func (l *lastLines) add(line string) {
	var all []string
	if old := l.lines.Load(); old != nil {
		all = *old
	}
	all = append(all[max(0, len(all)-20):len(all):len(all)], line)
	l.lines.Store(&all)
}

func (l *lastLines) String() string {
	if all := l.lines.Load(); all != nil {
		return strings.Join(*all, "\n")
	}
	return ""
}

var groups atomic.Int64

// startServer returns when the server listens, which is before it is ready.
func startServer(ctx context.Context, o options, more ...string) (*server, error) {
	args := append([]string{o.binary, "serve", "--addr=127.0.0.1:0", "--log-format=json", "--require-isolation=full"}, o.serverArgs...)
	s := &server{exited: make(chan struct{})}
	s.makeGroup()
	args = append(args, more...)
	s.cmd = exec.Command(args[0], args[1:]...)
	if s.group != "" {
		// The shell puts itself, and so all that comes of it, into the group.
		shell := []string{"-c", `echo $$ > "$0"/cgroup.procs && exec "$@"`, s.group}
		s.cmd = exec.Command("/bin/sh", append(shell, args...)...)
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is for us, and we stop it in order
	reading, writing, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.cmd.Stdout, s.cmd.Stderr = writing, writing
	s.began = time.Now()
	err = s.cmd.Start()
	writing.Close()
	if err != nil {
		reading.Close()
		s.dropGroup()
		return nil, err
	}
	s.pid = s.cmd.Process.Pid
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	serving := make(chan string, 1)
	go s.readLog(reading, serving)
	select {
	case addr := <-serving:
		s.url = "http://" + addr
		return s, nil
	case <-s.exited:
		err = errors.New("it exited")
	case <-time.After(startPatience):
		err = errors.New("it does not serve")
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(fmt.Errorf("pyexec serve: %w; the end of its log:\n%v", err, &s.log), s.stop())
}

func (s *server) readLog(from io.ReadCloser, serving chan<- string) {
	defer from.Close()
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		s.log.add(lines.Text())
		var line struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			select {
			case serving <- line.Addr:
			default:
			}
		}
	}
}

// awaitPandas waits until every kind of script has been answered, and then for
// the children that are made ready meanwhile.
func (s *server) awaitPandas(ctx context.Context) error {
	t := &httpTarget{title: "pyexec", url: s.url, call: adapters["pyexec"], client: newClient()}
	defer t.close()
	for _, w := range workloads {
		if _, err := s.firstAnswer(ctx, t, w); err != nil {
			return err
		}
	}
	return s.settle(ctx)
}

// firstAnswer asks until the answer is right; only a refusal is asked again.
func (s *server) firstAnswer(ctx context.Context, t *httpTarget, w workload) (time.Duration, error) {
	for {
		_, err := t.run(ctx, w)
		var no *refusal
		switch {
		case err == nil:
			return time.Since(s.began), nil
		case !errors.As(err, &no) || time.Since(s.began) > startPatience:
			return 0, fmt.Errorf("first %s: %w; the end of the server's log:\n%v", w.name, err, &s.log)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// settle waits until the server's processes use no CPU any more: children have
// been made ready, and ends have been cleared away.
func (s *server) settle(ctx context.Context) error {
	idle := 0
	for deadline := time.Now().Add(20 * time.Second); idle < 3 && time.Now().Before(deadline); {
		before := ticks(s.tree())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		if idle++; ticks(s.tree()) > before+1 {
			idle = 0
		}
	}
	return nil
}

// stop ends the server in order, by force if need be, and removes its group.
func (s *server) stop() error {
	defer s.dropGroup()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(stopPatience):
		_ = s.cmd.Process.Kill()
		<-s.exited
		return fmt.Errorf("the server did not stop; the end of its log:\n%v", &s.log)
	}
	return nil
}

// makeGroup finds a way to count the CPU time of the server and all that it
// starts. Its runs are reaped by slots, so no rusage of ours counts them; it
// moves runs to groups of its own in other hierarchies of v1 than cpuacct, and
// below its own group in v2, so a group counts them in both.
func (s *server) makeGroup() {
	name := fmt.Sprintf("bench-pyexec-%d-%d", os.Getpid(), groups.Add(1))
	self, _ := os.ReadFile("/proc/self/cgroup")
	for _, line := range strings.Split(string(self), "\n") {
		part := strings.SplitN(line, ":", 3)
		if len(part) != 3 || part[1] != "cpuacct" && part[1] != "" {
			continue
		}
		if part[1] == "cpuacct" {
			if s.tryGroup(filepath.Join("/sys/fs/cgroup/cpuacct", part[2], name), "cpuacct.usage", readNanoseconds) {
				return
			}
		} else if s.tryGroup(filepath.Join("/sys/fs/cgroup", part[2], name), "cpu.stat", readCPUStat) {
			return
		}
	}
}

func (s *server) tryGroup(dir, file string, read func(string) (time.Duration, error)) bool {
	if os.Mkdir(dir, 0o755) != nil {
		return false
	}
	if _, err := read(filepath.Join(dir, file)); err != nil {
		_ = os.Remove(dir)
		return false
	}
	s.group = dir
	s.usage = func() (time.Duration, error) { return read(filepath.Join(dir, file)) }
	return true
}

// dropGroup removes the group with the groups that the server left in it.
func (s *server) dropGroup() {
	if s.group != "" {
		removeGroups(s.group)
	}
}

func readNanoseconds(path string) (time.Duration, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return time.Duration(n), err
}

func readCPUStat(path string) (time.Duration, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "usage_usec "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return time.Duration(n) * time.Microsecond, err
		}
	}
	return 0, errors.New("no usage_usec")
}

// cpu is what the server and its runs have used; 0 where it is not known.
func (s *server) cpu() time.Duration {
	if s.usage == nil {
		return 0
	}
	d, err := s.usage()
	if err != nil {
		return 0
	}
	return d
}
