"""matplotlib in the sandbox: imported ahead without a folder to write to, and
figures that a script leaves open are kept.

Only `prepare` runs in the zygote; `save_open` runs in a child, as a part of the
script's own run and under its limits.
"""

from __future__ import annotations

import functools
import os
import sys
import weakref
from typing import Any

from . import collect

# `make setup` has put the list of fonts there, which is slow to make.
_FONTS = os.path.join(sys.prefix, "fonts")
_MOST_FIGURES = 16
_MOST_PIXELS = 16_000_000  # a figure that would have more is saved with fewer dots per inch
_saved: weakref.WeakSet[Any] = weakref.WeakSet()  # figures that the script has saved, to whatever


def prepare() -> None:
    """Imports matplotlib with a folder for its caches that cannot be written to.

    It takes none, and makes one that it removes at exit, which no child of a
    zygote reaches; so it is told that this one can be written to, once.
    """
    allowed = os.access
    os.environ["MPLCONFIGDIR"] = _FONTS
    os.access = lambda path, mode, **more: allowed(path, mode & ~os.W_OK, **more)
    try:
        import matplotlib

        matplotlib.get_configdir()
        matplotlib.get_cachedir()  # both are remembered
        import matplotlib.backends.backend_agg
        import matplotlib.pyplot

        _notice_saving(matplotlib.backends.backend_agg.FigureCanvasBase)
    finally:
        os.access = allowed
        del os.environ["MPLCONFIGDIR"]


def _notice_saving(canvas: Any) -> None:
    """All ways to save a figure end there."""
    print_figure = canvas.print_figure

    @functools.wraps(print_figure)
    def noticed(self: Any, *args: Any, **more: Any) -> Any:
        result = print_figure(self, *args, **more)
        _saved.add(self.figure)
        return result

    canvas.print_figure = noticed


def save_open() -> None:
    """Saves the figures that are open, but for those that the script has saved."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in list(pyplot.get_fignums())[:_MOST_FIGURES]:
        try:
            figure = pyplot.figure(number)
            if figure.get_axes() and figure not in _saved:
                _save(figure, number)
        except Exception as failed:
            print(f"figure {number} could not be saved: {type(failed).__name__}: {failed}", file=sys.stderr)


def _save(figure: Any, number: int) -> None:
    os.makedirs(collect.FOLDER, exist_ok=True)
    path, again = f"{collect.FOLDER}/figure-{number}.png", 1
    while os.path.lexists(path):
        again += 1
        path = f"{collect.FOLDER}/figure-{number}-{again}.png"
    width, height = figure.get_size_inches()
    dots = min(float(figure.dpi), (_MOST_PIXELS / max(width * height, 1e-9)) ** 0.5)
    figure.savefig(path, format="png", dpi=dots)
