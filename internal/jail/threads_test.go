package jail

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTasksOfAUser(t *testing.T) {
	proc := t.TempDir()
	for pid, status := range map[string]string{
		"1":    "Name:\tinit\nUid:\t0\t0\t0\t0\nThreads:\t1\n",
		"20":   "Name:\tx\nUid:\t1000\t0\t0\t0\nThreads:\t7\n",
		"300":  "Name:\ty\nUid:\t1000\t1000\t1000\t1000\nThreads:\t5\n",
		"4000": "", // it ends while it is read
		"self": "Uid:\t1000\nThreads:\t100\n",
	} {
		dir := filepath.Join(proc, pid)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "status"), []byte(status), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := tasksOf(proc, 1000); n != 12 || err != nil {
		t.Errorf("%d tasks, %v; want 12", n, err)
	}
	if _, err := tasksOf(t.TempDir(), 1000); err == nil {
		t.Error("a /proc that shows nothing is believed")
	}
	if n, err := tasksOf("/proc", os.Getuid()); n < 2 || err != nil {
		t.Errorf("%d tasks of who runs this, %v", n, err)
	}
}
