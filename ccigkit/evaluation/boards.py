"""Tables of evaluations: one per metric, over every run measured, and one with a headline of each."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ccigkit.evaluation.measure import Estimate, Evaluation, Pooled, pooled
from ccigkit.show.terminal import add_column, add_row, new_table

CONTROLS = ("drawn", "no graph", "identity", "resample", "oracle", "shuffled", "predictor")
ROWS = ("model", *CONTROLS)  # in every table in this order, any others after the model
HEADLINES = {  # of each metric the column that says most, and whether more of it is better
    "truth": ("skill", True),
    "effectiveness": ("accuracy", True),
    "composition": ("l1", False),
    "reversibility": ("l1", False),
    "minimality": ("cld", False),
    "distribution": ("mmd", False),
    "realism": ("fd", False),
    "graph": ("shd", False),
}

Groups = Mapping[str, Sequence[Evaluation]]  # what is shown as one, by name: runs that differ by their seed alone


@dataclass(frozen=True)
class Board:
    """One metric's table: a row for each run and each control, controls that are the same in all runs once."""

    metric: str
    columns: tuple[str, ...]
    rows: tuple[Pooled, ...]
    skipped: Mapping[str, str]  # group: why it has no rows here

    def cell(self, row: Pooled, column: str) -> str:
        """What stands in a cell; a column's figures have as many decimals as its largest leaves room for."""
        value = row.get(column, "")
        if isinstance(value, str):
            return value
        sizes = [abs(v.mean) for r in self.rows if isinstance(v := r.get(column), Estimate) and not math.isnan(v.mean)]
        if math.isnan(value.mean):
            return "–"
        if all(size == round(size) for size in sizes) and value.n == 1:
            return f"{value.mean:.0f}"
        decimals = 3 if max(sizes) < 10 else 2 if max(sizes) < 100 else 1
        spread = f" ± {value.half:.{decimals}f}" if value.n > 1 else ""
        figure = f"{value.mean:.{decimals}f}{spread}"
        return figure.removeprefix("-") if not figure.strip("-0.") else figure  # nought has no sign


def boards(groups: Groups) -> list[Board]:
    """The tables of all metrics, in the order in which they were measured."""
    metrics = dict.fromkeys(found.metric for runs in groups.values() for run in runs for found in run.found)
    return [board(metric, groups) for metric in metrics]


def board(metric: str, groups: Groups) -> Board:
    """One metric's table."""
    rows: list[Pooled] = []
    skipped: dict[str, str] = {}
    for name, runs in groups.items():
        mine = [found for run in runs for found in run.found if found.metric == metric]
        if reasons := [found.skipped for found in mine if found.skipped]:
            skipped[name] = reasons[0]
        rows += [{"run": name, **row} for row in pooled([found for found in mine if found.rows])]
    rows = in_order(together(rows)) if len(groups) > 1 else in_order([_without(row, "run") for row in rows])
    there = list(dict.fromkeys(key for row in rows for key in row))
    known = [key for key in there if any(not _missing(row.get(key)) for row in rows)]
    words = [key for key in known if isinstance(next(row[key] for row in rows if key in row), str)]
    first = [key for key in ("attribute", "do", "row", "run") if key in words]
    if len({row.get("do") for row in rows}) == 1 and "do" in first:  # the same in every row: not worth a column
        first.remove("do")
    rest = [key for key in known if key not in ("do", *first)]
    return Board(metric, (*first, *rest), tuple(rows), skipped)


def together(rows: Sequence[Pooled]) -> list[Pooled]:
    """Rows of several runs, those that are the same in all of them, as the controls are, only once."""
    alike: dict[str, list[Pooled]] = defaultdict(list)
    for row in rows:
        alike[repr(_without(row, "run"))].append(row)
    runs = len({row["run"] for row in rows})
    return [
        {**same[0], "run": "all"} if len(same) == runs > 1 and same[0]["row"] != "model" else row
        for same in alike.values()
        for row in (same[:1] if len(same) == runs > 1 and same[0]["row"] != "model" else same)
    ]


def in_order(rows: Sequence[Pooled]) -> list[Pooled]:
    """Rows sorted by what was read and what was asked, in the order of asking, then by who answers."""
    read = list(dict.fromkeys(row.get("attribute") for row in rows))
    asked = list(dict.fromkeys(_asked(row) for row in rows))
    place = {who: at for at, who in enumerate(ROWS)}

    def key(row: Pooled) -> tuple[float, ...]:
        return read.index(row.get("attribute")), asked.index(_asked(row)), place.get(str(row["row"]), 0.5)

    return sorted(rows, key=key)


def headlines(groups: Groups) -> Board | None:
    """One row for each run and each control, one column for each metric: the mean of its headline over all do()."""
    rows: dict[tuple[str, str], dict[str, list[Estimate]]] = defaultdict(lambda: defaultdict(list))
    several = len(groups) > 1
    for found in boards(groups):
        column, _ = HEADLINES.get(found.metric, ("", True))
        for row in found.rows:
            value, cycles = row.get(column), row.get("cycles")
            once = not isinstance(cycles, Estimate) or cycles.mean == 1  # around, and not ten times
            if isinstance(value, Estimate) and row["row"] in ROWS and once:
                rows[str(row["row"]), str(row.get("run", ""))][headline(found.metric)].append(value)
    if not rows:
        return None
    means: list[Pooled] = [
        {"row": who, **({"run": run} if several else {}), **{key: _mean(values) for key, values in columns.items()}}
        for (who, run), columns in rows.items()
    ]
    keys = list(dict.fromkeys(key for columns in rows.values() for key in columns))
    known = [key for key in keys if any(not _missing(row.get(key)) for row in means)]
    return Board("at a glance", ("row", *(["run"] if several else []), *known), tuple(in_order(means)), {})


def headline(metric: str) -> str:
    """The name of a metric's headline, with the way that is better."""
    column, more = HEADLINES[metric]
    return f"{metric} {column} {'↑' if more else '↓'}"


def terminal_table(found: Board) -> Table:
    """A table for the terminal, the controls dim."""
    made = new_table(title=found.metric, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 0))
    words = {name for row in found.rows for name, value in row.items() if isinstance(value, str)}
    for name in found.columns:
        told = name in words
        add_column(made, name, justify="left" if told else "right", no_wrap=told, overflow="fold")
    asked = None
    for figures in found.rows:
        if asked not in (None, _asked(figures)):
            made.add_section()
        asked = _asked(figures)
        style = "dim" if figures["row"] in CONTROLS else ""
        add_row(made, *(found.cell(figures, name) for name in found.columns), style=style)
    return made


def _mean(values: Sequence[Estimate]) -> Estimate:
    """The mean of figures that may be missing; of intervals there is none here, the parts not being independent."""
    known = [value.mean for value in values if not math.isnan(value.mean)]
    return Estimate(float(np.mean(known)) if known else float("nan"), float("nan"), 1)


def _asked(row: Pooled) -> tuple[str, ...]:
    return tuple(str(row[key]) for key in ("attribute", "do") if key in row)


def _missing(value: Estimate | str | None) -> bool:
    return value is None or (isinstance(value, Estimate) and math.isnan(value.mean))


def _without(row: Pooled, column: str) -> Pooled:
    return {key: value for key, value in row.items() if key != column}
