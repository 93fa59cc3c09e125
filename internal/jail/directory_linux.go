package jail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// directoryPattern names the runtime directory: the pid at its end is for
// people; that the owner lives is told by its lock.
const directoryPattern = "pyexec-*-%d"

// makeDirectory makes the runtime directory and locks it for as long as the
// server lives. The lock ends with the process, however it ends.
func makeDirectory() (dir string, lock *os.File, err error) {
	for range 10 {
		dir, err = os.MkdirTemp(temporary(), fmt.Sprintf(directoryPattern, os.Getpid()))
		if err != nil {
			return "", nil, err
		}
		lock, err = lockDirectory(dir)
		if err == nil {
			if exists(dir) {
				return dir, lock, nil
			}
			lock.Close()
		}
		// Another server that starts took it for one that is left over.
	}
	return "", nil, errors.Join(errors.New("it could not be locked"), err)
}

// temporary is where the runtime directory is made: $TMPDIR, unless the uid that
// a root server gives its runs could not come there.
func temporary() string {
	dir := os.TempDir()
	if os.Getuid() != 0 {
		return dir
	}
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err != nil || info.Mode()&0o001 == 0 {
			return "/tmp"
		}
		if at == "/" || at == "." {
			return dir
		}
	}
}

func lockDirectory(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// sweepTime bounds the removal of what dead servers left behind.
const sweepTime = 5 * time.Second

// sweep removes the cgroups and runtime directories of servers that were
// killed and could not do it themselves.
func (j *Jail) sweep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	if j.cgroups != nil {
		n, err := j.cgroups.Sweep(ctx)
		if n > 0 || err != nil {
			j.log.Info("cgroups of a dead server were removed", "count", n, "error", err)
		}
	}
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(j.dir), "pyexec-*-[0-9]*"))
	for _, dir := range found {
		var info unix.Stat_t
		if unix.Lstat(dir, &info) != nil || int(info.Uid) != os.Getuid() || !exists(filepath.Join(dir, "scratch")) {
			continue // somebody else's
		}
		lock, err := lockDirectory(dir)
		if err != nil {
			continue // its server lives, or has just been removed
		}
		if err := os.RemoveAll(dir); err != nil {
			j.log.Warn("the runtime directory of a dead server was not removed", "error", err)
		}
		lock.Close()
	}
}
