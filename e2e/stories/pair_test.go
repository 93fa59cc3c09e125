package stories

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// prober leaves its mark wherever it can and, for a second and a half, looks
// for anybody else's. The policy is off: the sandbox alone is under test.
const prober = `
import ctypes, glob, os, signal, socket, time

SECONDS = 1.5

def main(me):
    libc = ctypes.CDLL(None, use_errno=True)
    mark = f"mark-{me}"
    begun = time.time()
    seen, tried = set(), {}

    def attempt(name, action):
        try:
            tried[name] = True
            return action()
        except Exception as e:
            tried[name] = f"{type(e).__name__}"

    def leave(folder):
        with open(f"{folder}/{mark}", "w") as f:
            f.write(mark)

    for folder in ("/tmp", "/dev/shm", ".", "/var/tmp"):
        attempt("write " + folder, lambda: leave(folder))
    def listen():
        s = socket.socket(socket.AF_UNIX)
        s.bind("\0" + mark)
        s.listen()
        return s
    listener = attempt("abstract socket", listen)
    def segment():
        number = libc.shmget(4711, 4096, 0o1666)
        if number < 0:
            raise OSError(ctypes.get_errno())
        libc.shmat.restype = ctypes.c_void_p
        at = libc.shmat(number, None, 0)
        if at in (None, 2 ** 64 - 1):
            raise OSError(ctypes.get_errno())
        return (ctypes.c_char * 64).from_address(at)
    shared = attempt("System V memory", segment)
    attempt("host name", lambda: socket.sethostname(mark))
    if shared is not None:
        if shared.value:
            seen.add("memory: " + shared.value.decode(errors="replace"))
        shared.value = mark.encode()

    signalled = set()
    rounds = 0
    while time.time() < begun + SECONDS:
        rounds += 1
        for folder in ("/tmp", "/dev/shm", ".", "/var/tmp"):
            for name in attempt("list " + folder, lambda: os.listdir(folder)) or ():
                if name != mark:
                    seen.add(f"file {folder}/{name}")
        for path in glob.glob("/proc/[0-9]*"):
            pid = int(path[6:])
            if pid not in (1, os.getpid()):
                seen.add(f"process {pid}")
        for pid in range(1, 400):
            if pid != os.getpid():
                try:
                    os.kill(pid, signal.SIGKILL)
                    signalled.add(pid)
                except OSError:
                    pass
        for other in ("a", "b"):
            if other != me:
                s = socket.socket(socket.AF_UNIX)
                try:
                    s.connect("\0mark-" + other)
                    seen.add("socket of " + other)
                except OSError:
                    pass
                finally:
                    s.close()
        if shared is not None and shared.value != mark.encode():
            seen.add("memory: " + shared.value.decode(errors="replace"))
        if socket.gethostname().startswith("mark-") and socket.gethostname() != mark:
            seen.add("host name " + socket.gethostname())
        time.sleep(0.02)
    return {"begun": begun, "ended": time.time(), "seen": sorted(seen), "tried": tried,
            "signalled": sorted(signalled), "pid": os.getpid(), "uid": os.getuid(), "rounds": rounds}
`

// TestPair: two runs at once see nothing of each other, neither files nor
// processes, memory, sockets or names, and cannot end each other.
func TestPair(t *testing.T) {
	t.Parallel()
	server := start(t, "--policy=off")
	pair(t, server)
}

func pair(t *testing.T, server *e2etest.Server) {
	t.Helper()
	type finding struct {
		Begun, Ended float64
		Seen         []string
		Tried        map[string]any
		Signalled    []int
		Rounds       int
	}
	var found [2]finding
	var both sync.WaitGroup
	for i, me := range []string{"a", "b"} {
		both.Go(func() {
			a := execute(t, server.BaseURL, request{"script": prober, "input": me, "timeout_ms": 9000})
			text, _ := json.Marshal(a.result(t))
			if err := json.Unmarshal(text, &found[i]); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if t.Failed() {
		return
	}
	overlap := min(found[0].Ended, found[1].Ended) - max(found[0].Begun, found[1].Begun)
	if overlap < 0.3 {
		t.Errorf("they ran side by side for %.2f s only", overlap)
	}
	for i, f := range found {
		if len(f.Seen) > 0 || len(f.Signalled) > 0 {
			t.Errorf("run %d saw %v and signalled %v", i, f.Seen, f.Signalled)
		}
		if f.Tried["write ."] != true || f.Rounds < 5 {
			t.Errorf("run %d did not look: %v, %d rounds", i, f.Tried, f.Rounds)
		}
	}
	t.Logf("tried: %s", strings.ReplaceAll(fmt.Sprint(found[0].Tried), "map", ""))
}

// TestOneAfterTheOther: a run in the same slot finds nothing of the last.
func TestOneAfterTheOther(t *testing.T) {
	t.Parallel()
	server := start(t, "--policy=off", "--concurrency=1", "--ready=1")
	for range 6 {
		execute(t, server.BaseURL, request{"script": "import os, sys, random, builtins\n" + inMain(
			"found = [os.listdir('/tmp'), os.listdir('.'), os.listdir('/dev/shm'), hasattr(builtins, 'left'), 'LEFT' in os.environ, sys.path.count('/left')]",
			"for folder in ('/tmp', '.', '/dev/shm'): open(folder + '/left', 'w').close()",
			"builtins.left = 1; os.environ['LEFT'] = '1'; sys.path.append('/left')",
			"return found")}).want(t, "[[],[],[],false,false,0]")
	}
	values := map[string]bool{}
	for range 4 {
		a := execute(t, server.BaseURL, request{"script": "import random, uuid, numpy, tempfile\n" + inMain(
			"return f'{random.random()} {numpy.random.random()} {uuid.uuid4()} {tempfile.mktemp()}'")})
		for part := range strings.FieldsSeq(fmt.Sprint(a.result(t))) {
			if values[part] {
				t.Errorf("two runs drew the same: %s", part)
			}
			values[part] = true
		}
	}
}
