package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
)

// workload is a script whose answer is known. Each request has a number of its
// own in script and answer, so that an answer to another request is noticed.
type workload struct {
	name   string
	source string // %d is the request's number
	answer func(n int64) string
}

var (
	hello = workload{"hello", `def main():
    return {"message": "Hello World", "n": %d}
`, func(n int64) string { return fmt.Sprintf(`{"message": "Hello World", "n": %d}`, n) }}

	numpySum = workload{"numpy", `import numpy as np

def main():
    return {"sum": int(np.arange(1000).sum()), "n": %d}
`, func(n int64) string { return fmt.Sprintf(`{"sum": 499500, "n": %d}`, n) }}

	pandasGroup = workload{"pandas", `import pandas as pd

def main():
    df = pd.DataFrame({"key": ["a", "b", "a"], "value": [1, 2, 3]})
    sums = df.groupby("key")["value"].sum()
    return {"sums": {key: int(value) for key, value in sums.items()}, "n": %d}
`, func(n int64) string { return fmt.Sprintf(`{"sums": {"a": 4, "b": 2}, "n": %d}`, n) }}

	pureLoop = workload{"loop", `def main():
    total = 0
    for i in range(100000):
        total += i * i %% 7
    return {"total": total, "n": %d}
`, func(n int64) string {
		total := 0
		for i := range 100000 {
			total += i * i % 7
		}
		return fmt.Sprintf(`{"total": %d, "n": %d}`, total, n)
	}}

	// sleeper is in flight long enough for its memory to be read.
	sleeper = workload{"sleeper", strings.Replace(pandasGroup.source, "    return", "    import time; time.sleep(3)\n    return", 1), pandasGroup.answer}
)

var workloads = []workload{hello, numpySum, pandasGroup, pureLoop}

var number atomic.Int64

// job is one request.
type job struct {
	script, answer string
}

func (w workload) next() job {
	n := number.Add(1)
	return job{fmt.Sprintf(w.source, n), w.answer(n)}
}

// program is the script as a whole Python program that prints its answer, for
// those who know no main.
func (j job) program() string { return j.script + "\nimport json\nprint(json.dumps(main()))\n" }

// check compares an answer with the one that is right, as JSON.
func (j job) check(got []byte) error {
	var have, want any
	if err := json.Unmarshal(got, &have); err != nil {
		return fmt.Errorf("answer %.200q: %w", got, err)
	}
	if err := json.Unmarshal([]byte(j.answer), &want); err != nil {
		return err
	}
	if !reflect.DeepEqual(have, want) {
		return fmt.Errorf("wrong answer: %.200q, not %q", got, j.answer)
	}
	return nil
}
