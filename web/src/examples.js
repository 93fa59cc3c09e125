// Examples to pick from. Each is a whole script.
export const examples = [
  {
    name: "Hello",
    script: `def main():
    return {"message": "Hello World"}
`,
  },
  {
    name: "Print and return",
    script: `import time


def main():
    for step in range(1, 6):
        print(f"step {step} of 5")
        time.sleep(0.4)
    return {"steps": step, "squares": [n * n for n in range(10)]}
`,
  },
  {
    name: "Input",
    input: `{"name": "Ada", "year": 1843}`,
    script: `def main(person):
    print("main was given", person)
    return f"{person['name']} wrote the first program in {person['year']}."
`,
  },
  {
    name: "numpy",
    script: `import numpy as np


def main():
    rng = np.random.default_rng(42)
    points = rng.random((1_000_000, 2))
    inside = (points**2).sum(axis=1) < 1
    print(f"{inside.sum():,} of {len(points):,} points fell inside the circle")
    return {"pi": 4 * inside.mean(), "exactly": np.pi}
`,
  },
  {
    name: "pandas",
    script: `import pandas as pd


def main():
    sales = pd.DataFrame(
        {
            "city": ["Oslo", "Lima", "Pune", "Oslo", "Lima", "Pune", "Kyiv"],
            "item": ["tea", "tea", "rice", "rice", "maize", "tea", "bread"],
            "price": [3.5, 2.25, 1.2, 2.0, 0.9, 1.75, 1.1],
            "count": [4, 10, 25, 6, 30, 12, 8],
        }
    )
    sales["total"] = sales["price"] * sales["count"]
    print(sales.describe())
    # A list of records is shown as a table.
    return sales.sort_values("total", ascending=False).to_dict(orient="records")
`,
  },
  {
    name: "A plot (SVG, plain Python)",
    script: `import math
import os


def main():
    """Draws a wave. Files below output/ come back with the answer."""
    points = [(x, 100 - 80 * math.sin(x / 30) * math.exp(-x / 400)) for x in range(0, 601, 4)]
    line = " ".join(f"{x},{y:.1f}" for x, y in points)
    svg = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 0 620 200" width="620" height="200">
<rect x="-10" width="620" height="200" fill="#fff"/>
<path d="M0 100H600M0 10V190" stroke="#999"/>
<polyline points="{line}" fill="none" stroke="#2757d6" stroke-width="3"/>
<text x="480" y="30" font-family="sans-serif" font-size="16">damped wave</text>
</svg>"""
    os.makedirs("output", exist_ok=True)
    with open("output/wave.svg", "w") as f:
        f.write(svg)
    return len(points)
`,
  },
  {
    name: "A plot (matplotlib)",
    script: `import os

try:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
except ImportError:
    plt = None


def main():
    if plt is None:
        return "matplotlib is not installed on this server; the other plot example needs nothing."
    os.makedirs("output", exist_ok=True)
    figure, axes = plt.subplots(figsize=(6, 3))
    axes.plot([n / 10 for n in range(100)], [(n / 10 - 5) ** 2 for n in range(100)])
    axes.set_title("a parabola")
    figure.savefig("output/parabola.png", dpi=120)
    plt.close(figure)
    return "drawn"
`,
  },
  {
    name: "An error",
    script: `def average(numbers):
    return sum(numbers) / len(numbers)


def main():
    print("the average of 1, 2 and 3 is", average([1, 2, 3]))
    return average([])
`,
  },
  {
    name: "A blocked operation",
    script: `import subprocess


def main():
    return subprocess.run(["ls", "/"], capture_output=True).stdout
`,
  },
  {
    name: "A time limit",
    timeout: "1000",
    script: `def main():
    print("this goes on for ever, or for a second")
    n = 0
    while True:
        n += 1
    return n
`,
  },
];
