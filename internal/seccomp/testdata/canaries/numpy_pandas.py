"""numpy (linear algebra, files, random) and pandas work."""

import os
import tempfile


def main():
    import numpy as np
    import pandas as pd
    a = np.arange(90_000, dtype="float64").reshape(300, 300) + np.eye(300)
    b = a @ a.T
    x = np.linalg.solve(np.eye(50) * 2, np.ones(50))
    with tempfile.TemporaryDirectory() as d:
        np.save(os.path.join(d, "a.npy"), a)
        back = np.load(os.path.join(d, "a.npy"), mmap_mode="r")[1, 1]
        df = pd.DataFrame({"k": ["a", "b", "a"], "v": [1, 2, 3]})
        df.to_csv(os.path.join(d, "x.csv"), index=False)
        g = pd.read_csv(os.path.join(d, "x.csv")).groupby("k")["v"].sum().to_dict()
    fft = float(abs(np.fft.fft(np.ones(8))[0]))
    rnd = np.random.default_rng().random() < 1
    return [list(b.shape), float(x[0]), float(back), {k: int(v) for k, v in g.items()}, fft, rnd, str(pd.to_datetime("2024-02-29").date())]
