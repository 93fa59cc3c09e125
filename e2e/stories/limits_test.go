package stories

import (
	"strings"
	"testing"
	"time"
)

// slack is what the contract gives a run beyond its time limit.
const slack = time.Second

const mb = "1 << 20"

// TestLimits has the rows of the error table that end a run at a limit.
func TestLimits(t *testing.T) {
	t.Parallel()
	url := shared(t)
	uncaught := []string{"line", "traceback", "exception"}
	memory := func(name string, limit int, req request, stdout string) failure {
		if limit != 512 {
			req["memory_mb"] = limit
		}
		return failure{
			name: name, req: req, kind: "memory_limit", words: []string{itoa(limit) + " MB"},
			fields: fields{"limit_mb": limit}, allowed: uncaught, stdout: stdout,
		}
	}
	disk := func(name string, lines ...string) failure {
		return failure{
			name: name, req: script(inMain(append([]string{"print('p')"}, lines...)...)), kind: "disk_limit", words: []string{"64 MiB", "4096 files"},
			fields: fields{"limit_bytes": 64 << 20}, allowed: uncaught, stdout: "p\n",
		}
	}
	for _, f := range []failure{
		memory("filled", 512, script(inMain("print('p', end='')", "kept = []", "while True: kept.append(bytearray(b'x') * ("+mb+"))")), "p"),
		memory("filled beyond 64 MB", 64, script(inMain("print('p')", "b = bytearray(b'x') * (100 * "+mb+")", "return len(b)")), "p\n"),
		memory("numpy beyond 64 MB", 64, script("import numpy\n"+inMain("return float(numpy.ones(20_000_000).sum())")), ""),
		memory("MemoryError", 512, script(inMain("b = bytearray(1 << 45)", "return 1")), ""),
		memory("MemoryError raised", 100, script(inMain("raise MemoryError", "return 1")), ""),
		memory("files are memory", 64, script(inMain(
			"kept = bytearray(b'x') * (40 * "+mb+")",
			"with open('/tmp/a', 'wb') as f:",
			"    for _ in range(50): f.write(b'x' * ("+mb+"))",
			"return 1")), ""),
		disk("large file in /tmp", "with open('/tmp/x', 'wb') as f:", "    for _ in range(70): f.write(b'x' * ("+mb+"))", "return 1"),
		disk("large file beside the script", "with open('x', 'wb') as f:", "    for _ in range(70): f.write(b'x' * ("+mb+"))", "return 1"),
		disk("two places", "for name in ('/tmp/x', 'x'):", "    with open(name, 'wb') as f:", "        for _ in range(40): f.write(b'x' * ("+mb+"))", "return 1"),
		disk("many files", "for i in range(5000): open(f'/tmp/{i}', 'w').close()", "return 1"),
		{
			name: "result", req: script(inMain("print('p')", "return 'x' * (9 * "+mb+")")), kind: "output_limit", words: []string{"8 MiB"},
			fields: fields{"limit_bytes": 8 << 20}, stdout: "p\n",
		},
		{
			name: "result of many parts", req: script(inMain("return [0.123456789] * 1_000_000")), kind: "output_limit",
			fields: fields{"limit_bytes": 8 << 20},
		},
	} {
		t.Run(f.kind+"/"+f.name, func(t *testing.T) {
			t.Parallel()
			f.check(t, url)
		})
	}
}

// TestTimeout: what was printed before is kept, a part of a line too, and the
// answer comes within a second of the limit, whatever the script does.
func TestTimeout(t *testing.T) {
	t.Parallel()
	url := shared(t)
	for name, source := range map[string]string{
		"busy":          inMain("print('a line')", "print('a part', end='')", "while True: pass"),
		"sleeping":      inMain("import time", "print('a line')", "print('a part', end='')", "time.sleep(60)", "return 1"),
		"at the top":    "print('a line')\nprint('a part', end='')\nwhile True: pass\n" + inMain("return 1"),
		"signals":       inMain("import signal", "for n in range(1, 32):", "    try: signal.signal(n, signal.SIG_IGN)", "    except (OSError, ValueError): pass", "print('a line')", "print('a part', end='')", "while True: pass"),
		"in C":          inMain("print('a line')", "print('a part', end='')", "return sum(range(10 ** 12))"),
		"threads":       inMain("import threading, time", "print('a line')", "print('a part', end='')", "for _ in range(20): threading.Thread(target=time.sleep, args=(60,)).start()", "while True: pass"),
		"swallows":      inMain("print('a line')", "print('a part', end='')", "while True:", "    try:", "        while True: pass", "    except BaseException: pass"),
		"while encoded": "print('a line')\nprint('a part', end='')\nclass D(dict):\n    def items(self):\n        while True: pass\n    __iter__ = keys = items\n" + inMain("return D(a=1) if not D.items(D()) else 2"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const limit = 700
			a := execute(t, url, request{"script": source, "timeout_ms": limit})
			f := failure{
				req: request{"script": source, "timeout_ms": limit}, kind: "timeout", words: []string{"700 ms"},
				fields: fields{"limit_ms": limit}, stdout: "a line\na part",
			}
			if a.took > limit*time.Millisecond+slack+a.waited() {
				t.Errorf("answered after %v", a.took)
			}
			f.check(t, url)
		})
	}
}

// waited is what the answer says that it spent before its run began.
func (a answer) waited() time.Duration {
	timing := a.timing()
	return timing["queue"] + timing["spawn"]
}

// timing reads Server-Timing.
func (a answer) timing() map[string]time.Duration {
	found := map[string]time.Duration{}
	for part := range strings.SplitSeq(a.header.Get("Server-Timing"), ",") {
		name, ms, _ := strings.Cut(strings.TrimSpace(part), ";dur=")
		if d, err := time.ParseDuration(ms + "ms"); err == nil {
			found[name] = d
		}
	}
	return found
}

// TestLimitsThatAreNone: what is within them, or was caught, is a result.
func TestLimitsThatAreNone(t *testing.T) {
	t.Parallel()
	url := shared(t)
	for name, c := range map[string]struct {
		req  request
		want string
	}{
		"disk full, caught": {script(inMain(
			"try:",
			"    with open('/tmp/x', 'wb') as f:",
			"        for _ in range(70): f.write(b'x' * ("+mb+"))",
			"except OSError as e: return e.errno in (27, 28, 122)")), "true"},
		"60 MB on disk":          {script(inMain("open('x', 'wb').write(b'x' * (60 * "+mb+"))", "import os", "return os.path.getsize('x')")), "62914560"},
		"MemoryError, caught":    {script(inMain("try: bytearray(1 << 45)", "except MemoryError: return 'caught'")), `"caught"`},
		"400 MB of 512":          {script(inMain("return len(bytearray(b'x') * (400 * " + mb + "))")), "419430400"},
		"30 MB of 64":            {request{"script": inMain("return len(bytearray(b'x') * (30 * " + mb + "))"), "memory_mb": 64}, "31457280"},
		"pandas within 64 MB":    {request{"script": "import pandas\n" + inMain("return int(pandas.DataFrame({'a': range(1000)}).a.sum())"), "memory_mb": 64}, "499500"},
		"7 MB result":            {script(inMain("return len('x' * (7 * " + mb + "))")), "7340032"},
		"200 levels":             {script(inMain("x = 0", "for _ in range(199): x = [x]", "return len(x)")), "1"},
		"60 threads":             {script(inMain("import threading", "e = threading.Event()", "ts = [threading.Thread(target=e.wait) for _ in range(60)]", "[t.start() for t in ts]", "n = threading.active_count()", "e.set()", "[t.join() for t in ts]", "return n")), "61"},
		"too many threads":       {script(inMain("import threading", "e = threading.Event()", "try:", "    for n in range(200): threading.Thread(target=e.wait, daemon=True).start()", "except RuntimeError: return 50 < n < 70", "finally: e.set()")), "true"},
		"too many files open":    {script(inMain("kept = []", "try:", "    while True: kept.append(open('/dev/null'))", "except OSError as e: return [e.errno, 100 < len(kept) < 128]")), "[24,true]"},
		"a thread that goes on":  {script(inMain("import threading, time", "threading.Thread(target=time.sleep, args=(60,)).start()", "return 1")), "1"},
		"an atexit that goes on": {script(inMain("import atexit, time", "atexit.register(time.sleep, 60)", "return 1")), "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			execute(t, url, c.req).want(t, c.want)
		})
	}
}
