package jail

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// uidSlack is how many tasks the sandbox's uid may get beside the runs' own
// after they were counted: slots, zygotes, and what else an ordinary user runs.
const uidSlack = 256

// threadsOfAll is RLIMIT_NPROC for a child where neither a cgroup nor a user
// namespace counts for one run alone. The kernel then counts all tasks of the
// uid, so the limit holds for all runs together.
func (j *Jail) threadsOfAll() (int, error) {
	uid := os.Getuid()
	if uid == 0 {
		uid = j.opts.UID
	}
	now, err := tasksOf("/proc", uid)
	return now + j.opts.Running*(j.opts.Limits.Threads+2) + uidSlack, err
}

// tasksOf counts the threads of a real uid. The owner of a folder in /proc is
// root for processes that are not dumpable, as slots are.
func tasksOf(proc string, uid int) (tasks int, err error) {
	dirs, err := filepath.Glob(filepath.Join(proc, "[0-9]*"))
	if err != nil || len(dirs) == 0 {
		return 0, fmt.Errorf("%s shows no process", proc)
	}
	for _, dir := range dirs {
		text, err := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil {
			continue // it has ended
		}
		var owner, threads int
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, ":")
			switch fields := strings.Fields(value); name {
			case "Uid":
				owner, _ = strconv.Atoi(fields[0])
			case "Threads":
				threads, _ = strconv.Atoi(fields[0])
			}
		}
		if owner == uid {
			tasks += threads
		}
	}
	return tasks, nil
}
