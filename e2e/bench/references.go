package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// target is something that runs scripts.
type target interface {
	name() string
	// run does one job and checks its answer. CPU is 0 where it is not known.
	run(ctx context.Context, w workload) (cpu time.Duration, err error)
	close()
}

// oneProcess bounds what a reference's process may take.
const oneProcess = 60 * time.Second

// cleanEnv keeps numpy from starting threads, as the server does.
var cleanEnv = []string{
	"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TZ=UTC", "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1",
}

// coldTarget is R: the cold interpreter that everything is compared with.
type coldTarget struct{ python string }

func (t *coldTarget) name() string { return "python3 -I -c pass" }
func (t *coldTarget) close()       {}

func (t *coldTarget) run(ctx context.Context, _ workload) (time.Duration, error) {
	out, cpu, err := execute(ctx, t.python, "-I", "-c", "pass")
	if err == nil && len(out) > 0 {
		err = fmt.Errorf("unexpected output %.100q", out)
	}
	return cpu, err
}

// execute forks, executes and waits, in this process alone.
func execute(ctx context.Context, args ...string) ([]byte, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, oneProcess)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = cleanEnv
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, 0, fmt.Errorf("%s: %w: %.500s", args[0], err, errs.Bytes())
	}
	// nsjail waits for its child, so this counts the child as well.
	return out.Bytes(), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// nsjailTarget is the baseline: nsjail and a cold python3 for each request.
type nsjailTarget struct {
	args []string
}

// newNsjail uses the perimeter of the server's own full level.
func newNsjail(ctx context.Context, o options) (*nsjailTarget, error) {
	prefix, _, err := execute(ctx, o.python, "-I", "-c", "import sys; print(sys.prefix); print(sys.base_prefix)")
	if err != nil {
		return nil, err
	}
	args := []string{
		o.nsjail, "--config", filepath.Join(o.root, "internal", "jail", "nsjail", "full.cfg"), "--quiet",
		"-u", fmt.Sprintf("65534:%d:1", os.Getuid()), "-g", fmt.Sprintf("65534:%d:1", os.Getgid()),
		"-B", "/dev/null", "-B", "/dev/urandom",
	}
	// At a place of its own: below /tmp, say, the jail could make no folder for it.
	venv, base, _ := strings.Cut(strings.TrimSpace(string(prefix)), "\n")
	args = append(args, "-R", venv+":/venv")
	for _, dir := range []string{base, "/lib", "/lib64", "/usr"} {
		if _, err := os.Stat(dir); err == nil {
			args = append(args, "-R", dir)
		}
	}
	for _, e := range cleanEnv {
		args = append(args, "-E", e)
	}
	rel, err := filepath.Rel(venv, o.python)
	if err != nil {
		return nil, err
	}
	return &nsjailTarget{append(args, "--", filepath.Join("/venv", rel), "-I", "-c")}, nil
}

func (t *nsjailTarget) name() string { return "nsjail + python3" }
func (t *nsjailTarget) close()       {}

func (t *nsjailTarget) run(ctx context.Context, w workload) (time.Duration, error) {
	j := w.next()
	out, cpu, err := execute(ctx, append(t.args[:len(t.args):len(t.args)], j.program())...)
	if err != nil {
		return 0, err
	}
	return cpu, j.check(out)
}

//go:embed floor.py
var floorScript string

// floorTarget is a bare fork of a warm interpreter, without any isolation.
type floorTarget struct {
	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func newFloor(o options) (*floorTarget, error) {
	t := &floorTarget{cmd: exec.Command(o.python, "-I", "-c", floorScript)}
	t.cmd.Env = cleanEnv
	t.cmd.Stderr = os.Stderr
	var err error
	if t.in, err = t.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	t.out = bufio.NewReader(out)
	if err := t.cmd.Start(); err != nil {
		return nil, err
	}
	if line, err := t.out.ReadString('\n'); err != nil || line != "ready\n" {
		t.close()
		return nil, fmt.Errorf("floor.py said %q: %w", line, err)
	}
	return t, nil
}

func (t *floorTarget) name() string { return "bare fork, warm" }

// close ends the interpreter by the end of its input.
func (t *floorTarget) close() {
	t.in.Close()
	timer := time.AfterFunc(5*time.Second, func() { _ = t.cmd.Process.Kill() })
	defer timer.Stop()
	_ = t.cmd.Wait()
}

func (t *floorTarget) run(ctx context.Context, w workload) (time.Duration, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	j := w.next()
	text, err := json.Marshal(j.script)
	if err != nil {
		return 0, err
	}
	if _, err := t.in.Write(append(text, '\n')); err != nil {
		return 0, err
	}
	line, err := t.out.ReadBytes('\n')
	if err != nil {
		return 0, errors.Join(errors.New("floor.py ended"), err)
	}
	return 0, j.check(line)
}
