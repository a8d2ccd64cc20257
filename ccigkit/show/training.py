"""A picture of a training: what looks at held-out images gave, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ccigkit.files import writing
from ccigkit.show.paper import BLUE, DPI, FRAME, INK


def training_picture(log: Sequence[Mapping[str, Any]], measures: Mapping[str, str], path: Path) -> None:
    """A curve for each measure over the steps of a log, beside one another.

    Args:
        log: the log's entries.
        measures: what each is called, by its name in the log; those that the log has not are left out.
        path: where to.
    """
    from matplotlib.figure import Figure

    found = {key: [(e["step"], e[key]) for e in log if key in e] for key in measures}
    found = {key: points for key, points in found.items() if points}
    if not found:
        return
    figure = Figure(figsize=(4.2 * len(found), 3), layout="constrained")
    for axes, (key, points) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        steps, values = zip(*points, strict=True)
        axes.plot(steps, values, color=BLUE, marker=".", markersize=4)
        axes.set_title(measures[key], fontsize=9, color=INK)
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(color=FRAME, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    with writing(path) as whole:
        figure.savefig(whole, dpi=DPI, format="png")
