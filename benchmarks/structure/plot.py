"""Accuracy against time, a panel for every table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from structure.cells import parse_cell
from structure.drawn import Cell
from structure.networks import Network
from structure.runs import Record


def plot(records: Sequence[Record], path: Path) -> None:
    """Every cell a panel: SHD as a DAG against CPU seconds, ours full and peers hollow; lower left is better."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    cells = sorted({r["cell"] for r in records if "shd" in r}, key=order)
    if not cells:
        return
    columns = min(3, len(cells))
    rows = -(-len(cells) // columns)
    figure = Figure(figsize=(5.2 * columns, 3.9 * rows), layout="constrained")
    for panel, cell in enumerate(cells):
        axes = figure.add_subplot(rows, columns, panel + 1)
        axes.set_title(cell, fontsize=10, loc="left")
        axes.set_xscale("log")
        axes.set_xlabel("CPU seconds", fontsize=8)
        axes.set_ylabel("SHD as a DAG", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.xaxis.set_minor_formatter(NullFormatter())
        places = medians([r for r in records if r["cell"] == cell and "shd" in r])
        for (cpu, shd, own), methods in places.items():
            colour = "#3f51b5" if own else "#c62828"
            axes.plot(cpu, shd, "o", color=colour, markerfacecolor=colour if own else "none")
            # ours above and peers beside, so that both can be read where they stand close
            how = {"xytext": (-4, 5)} if own else {"xytext": (6, -3), "va": "top"}
            axes.annotate("\n".join(methods), (cpu, shd), textcoords="offset points", fontsize=6.5, color=colour, **how)
        most = max(1, *(shd for _, shd, _ in places))
        axes.set_ylim(-0.08 * most, 1.15 * most)
        axes.set_xlim(min(cpu for cpu, _, _ in places) / 2, 30 * max(cpu for cpu, _, _ in places))  # room for names
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def medians(records: Sequence[Record]) -> dict[tuple[float, float, bool], list[str]]:
    """Where each method stands, by CPU seconds and SHD as a DAG, and whether it is ours; close ones share a place."""
    places: dict[tuple[float, float, bool], list[str]] = {}
    for method in dict.fromkeys(r["method"] for r in records):
        cpu, shd = (statistics.median(r[key] for r in records if r["method"] == method) for key in ("cpu", "as_dag"))
        own = method.startswith("ccigkit")
        close = (at for at in places if own == at[2] and abs(math.log(at[0] / cpu)) < 0.5 and abs(at[1] - shd) <= 1)
        name = method.removeprefix("ccigkit:").replace("score=local_score_", "").replace(",standardise=false", "")
        places.setdefault(next(close, (cpu, shd, own)), []).append(name.replace(":", " "))
    return places


def order(cell: str) -> tuple[str, int, int, str]:
    """By model, then by size; known networks last, by name."""
    parsed = parse_cell(cell)
    if isinstance(parsed, Cell):
        return parsed.model, parsed.d, parsed.n, parsed.scale
    return ("network", 0, parsed.n, parsed.name) if isinstance(parsed, Network) else ("proteins", 0, 0, cell)
