package pool_test

import (
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/internal/pool"
)

func TestKindOf(t *testing.T) {
	kindOf := pool.KindOf([]string{"scipy", "my.own"})
	for script, want := range map[string]string{
		"":                                     "base",
		"def main():\n    return 1\n":          "base",
		"import json, os":                      "base",
		"import numpy":                         "numpy",
		"import numpy as np":                   "numpy",
		"import numpy.linalg":                  "numpy",
		"from numpy import array":              "numpy",
		"from numpy.linalg import inv":         "numpy",
		"\timport numpy":                       "numpy",
		"import json, numpy":                   "numpy",
		"import os; import numpy":              "numpy",
		"def main(): import numpy; return 1":   "numpy",
		"if True: from numpy import array":     "numpy",
		"import json\r\nimport numpy\r\n":      "numpy",
		"import pandas":                        "pandas",
		"import pandas\ndf.plot()":             "plots",
		"import numpy\ndf.plot()":              "numpy",
		"import matplotlib.pyplot as plt":      "plots",
		"from matplotlib import pyplot":        "plots",
		"import pandas, matplotlib":            "plots",
		"import pandas as pd":                  "pandas",
		"from pandas import DataFrame":         "pandas",
		"import requests":                      "net",
		"import requests\nimport numpy":        "pandas",
		"import requests, pandas":              "pandas",
		"import asyncio":                       "net",
		"from urllib.request import urlopen":   "net",
		"import hashlib\nimport json":          "net",
		"async def main():\n    return 1":      "net",
		"import asyncio\nimport numpy":         "numpy",
		"import asyncio_x":                     "base",
		"import numpy, pandas":                 "pandas",
		"import numpy as np, pandas as pd":     "pandas",
		"import numpy\nimport pandas\n":        "pandas",
		"import pandas\nimport numpy\n":        "pandas",
		"import numpyro":                       "base",
		"import my_numpy":                      "base",
		"# import numpy":                       "base",
		"import json # numpy":                  "base",
		"x = 'numpy'":                          "base",
		"important = numpy":                    "base",
		"def main():\n    print('numpy')":      "base",
		"__import__('numpy')":                  "base", // slower, not wrong
		"from . import numpy":                  "numpy",
		"import scipy.stats":                   "pandas",
		"from my.own import x":                 "pandas",
		"try:\n    import numpy\nexcept: pass": "numpy",
	} {
		if got := kindOf(script); got != want {
			t.Errorf("KindOf(%q) = %s, want %s", script, got, want)
		}
	}
}

// The script is hostile: the time to look at it grows with its length alone.
func TestKindOfIsLinear(t *testing.T) {
	for _, unit := range []string{"import ", ";import ", ": from x", "\n", "import numpy\n", "import a, ", ";;:: ", "xfrom", "ximport", "xfromximport", "import numpyx,"} {
		began := time.Now()
		pool.KindOf(nil)(strings.Repeat(unit, (1<<20)/len(unit)))
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("1 MiB of %q took %v", unit, d)
		}
	}
}
