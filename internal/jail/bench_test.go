package jail_test

import (
	"testing"
	"time"

	pyexec "github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/jail"
)

// BenchmarkChild shows where the time of a run goes: forking and confining the
// child ahead of it, the run itself, and the child's end.
func BenchmarkChild(b *testing.B) {
	j := start(b)
	for _, c := range []struct {
		kind   jail.Kind
		script string
	}{
		{jail.Base, "def main():\n    return {'message': 'Hello World'}"},
		{jail.NumPy, "import numpy as np\ndef main():\n    return float(np.arange(10).sum())"},
		{jail.Pandas, "import pandas as pd\ndef main():\n    df = pd.DataFrame({'k': ['a', 'b', 'a'], 'v': [1, 2, 3]})\n    return df.groupby('k')['v'].sum().to_dict()"},
	} {
		b.Run(string(c.kind), func(b *testing.B) {
			s, err := j.Slot(b.Context(), c.kind)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			var prepare, run, settle time.Duration
			for b.Loop() {
				t0 := time.Now()
				if err := s.Prepare(b.Context()); err != nil {
					b.Fatal(err)
				}
				t1 := time.Now()
				res, err := s.Run(b.Context(), pyexec.Request{Script: c.script, Timeout: 5 * time.Second, Memory: 512 * pyexec.MiB})
				if err != nil || res.Failure != nil {
					b.Fatal(err, res.Failure)
				}
				t2 := time.Now()
				if err := s.Settle(b.Context()); err != nil {
					b.Fatal(err)
				}
				prepare, run, settle = prepare+t1.Sub(t0), run+t2.Sub(t1), settle+time.Since(t2)
			}
			n := float64(b.N) * 1e6
			b.ReportMetric(float64(prepare)/n, "prepare-ms")
			b.ReportMetric(float64(run)/n, "run-ms")
			b.ReportMetric(float64(settle)/n, "settle-ms")
		})
	}
}
