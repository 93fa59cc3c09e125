package pool_test

import (
	"testing"

	"github.com/python-code-executor/pyexec/internal/pool"
)

func TestKindOf(t *testing.T) {
	kindOf := pool.KindOf([]string{"scipy", "my.own"})
	for script, want := range map[string]string{
		"":                                    "base",
		"import os\nimport numpyro":           "base",
		"import numpy as np":                  "numpy",
		"import os, numpy":                    "numpy",
		"from numpy.linalg import inv":        "numpy",
		"def main():\n    import pandas as p": "pandas",
		"import numpy\nimport requests":       "pandas",
		"try: import pandas\nexcept: pass":    "pandas",
		"x = 1; import numpy":                 "numpy",
		"# import numpy":                      "base",
		"important = 'numpy'":                 "base",
		"import scipy.stats":                  "pandas",
		"from my.own import x":                "pandas",
	} {
		if got := kindOf(script); got != want {
			t.Errorf("KindOf(%q) = %q, want %q", script, got, want)
		}
	}
}
