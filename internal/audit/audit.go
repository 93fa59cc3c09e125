// Package audit writes who ran what: a line of JSON for each run that was
// asked for, with the hash of its script and never the script itself. It is a
// stage of the executor chain and knows the vocabulary of the root package
// alone.
package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/python-code-executor/pyexec"
)

// Log is an audit log in a file, which is only ever appended to.
type Log struct {
	log    *slog.Logger
	failed atomic.Int64

	path string
	mu   sync.Mutex
	file *os.File
	info os.FileInfo
}

// Open opens or makes the file at path, which only the server's user may read.
// log is told of lines that could not be written.
func Open(path string, log *slog.Logger) (*Log, error) {
	l := &Log{log: log, path: path}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Log) open() error {
	// Without O_NONBLOCK a pipe is waited for until somebody reads it.
	file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NONBLOCK, 0o600)
	if errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("%s is a pipe that nobody reads, or a socket: an audit log is a file, a device such as /dev/stderr, or a pipe with a reader", l.path)
	}
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.info = file, info
	return nil
}

// Record is the stage that writes about the runs of next; a nil log has none.
func (l *Log) Record(next pyexec.Executor) pyexec.Executor {
	if l == nil {
		return next
	}
	return stage{l, next}
}

type stage struct {
	log  *Log
	next pyexec.Executor
}

// Execute implements pyexec.Executor. The line is in the file before the
// answer is sent.
func (s stage) Execute(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
	res, err := s.next.Execute(ctx, req)
	if failed := s.log.write(line(req, res, err)); failed != nil { //nolint:contextcheck // written for runs whose client has left, too
		s.log.failed.Add(1)
		s.log.log.Error("a run is missing in the audit log", "id", req.ID, "error", failed)
	}
	return res, err
}

// Failed is how many lines could not be written.
func (l *Log) Failed() int64 {
	if l == nil {
		return 0
	}
	return l.failed.Load()
}

// Close closes the file; runs must have ended.
func (l *Log) Close() {
	if l != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.file.Close()
	}
}

// write appends a line by one system call. A file that was renamed or removed
// is opened anew first, as tools that rotate logs want it.
func (l *Log) write(text []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if info, err := os.Stat(l.path); err != nil || !os.SameFile(info, l.info) {
		if err := l.open(); err != nil {
			return err
		}
	}
	n, err := l.file.Write(text)
	if err == nil && n < len(text) {
		err = fmt.Errorf("only %d of %d bytes were written", n, len(text))
	}
	return err
}

// line is what is written about one run.
func line(req pyexec.Request, res pyexec.Result, err error) []byte {
	outcome := "ok"
	switch {
	case err != nil:
		outcome = string(pyexec.CodeOf(err))
	case res.Failure != nil:
		outcome = string(res.Failure.Type)
	}
	hash := sha256.Sum256([]byte(req.Script))
	var b bytes.Buffer
	record := slog.NewRecord(time.Now(), slog.LevelInfo, "run", 0)
	record.AddAttrs(
		slog.String("id", req.ID),
		slog.String("caller", req.Caller),
		slog.String("outcome", outcome),
		slog.Bool("started", res.Timing.Run > 0),
		slog.String("script_sha256", hex.EncodeToString(hash[:])),
		slog.Int("script_bytes", len(req.Script)),
		slog.Int("input_bytes", len(req.Input)),
		slog.Int("stdin_bytes", len(req.Stdin)),
		slog.Int("files", len(req.Files)),
		slog.Int("result_bytes", len(res.Value)),
		slog.Int("stdout_bytes", len(res.Stdout)),
		slog.Int("stderr_bytes", len(res.Stderr)),
		slog.Int64("timeout_ms", req.Timeout.Milliseconds()),
		slog.Int64("memory_mb", req.Memory.MB()),
		slog.Float64("queue_ms", millis(res.Timing.Queue)),
		slog.Float64("spawn_ms", millis(res.Timing.Spawn)),
		slog.Float64("run_ms", millis(res.Timing.Run)),
		slog.String("isolation", res.Isolation.Level),
	)
	_ = slog.NewJSONHandler(&b, nil).Handle(context.Background(), record) // into memory
	return b.Bytes()
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
