"""The do() tables of docs/results.md: train, evaluate, repeat over seeds, and write mean and spread as Markdown.

    python benchmarks/counterfactuals.py --data pendulum --seeds 3 --out results/pendulum
    python benchmarks/counterfactuals.py --data faces --seeds 1 --out results/faces-published -- --recipe ccig-published

Every run is the ordinary command line in its own process, so the time is what a user waits.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

COLUMNS = (
    "intended", "agreement", "descendants", "descendants_agreement", "others", "others_agreement", "skill",
)  # fmt: skip


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("options", nargs="*", help="more options for ccigkit train, after --")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    minutes = []
    for seed in range(given.seeds):
        run = given.out / f"seed{seed}"
        start = time.monotonic()
        ccigkit("train", "--data", given.data, "--seed", str(seed), "--run", str(run), *given.options)
        minutes.append((time.monotonic() - start) / 60)
        ccigkit("evaluate", str(run), "--metric", "do_table", "--json", str(run / "rows.json"))
        rows += [row | {"seed": seed} for row in read_rows(run / "rows.json")]
    text = f"{len(minutes)} seeds, {statistics.mean(minutes):.1f} minutes each.\n\n{markdown(rows)}"
    (given.out / "table.md").write_text(text)
    print(text)


def ccigkit(*arguments: str) -> None:
    """Run a command and stop where it fails."""
    subprocess.run([sys.executable, "-m", "ccigkit", *arguments], check=True)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of the one metric of the one run in what `ccigkit evaluate --json` wrote."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())["evaluations"][0]["metrics"][0]["rows"]
    return rows


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """One line per do() and row of the table: mean over seeds, and the range where there are several."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["do"], row["row"]), []).append(row)
    shown = [c for c in COLUMNS if any(row.get(c) is not None for row in rows)]
    heads = (c.replace("_", " ") for c in shown)
    lines = ["| do() | row | " + " | ".join(heads) + " |", "|---|---|" + "--:|" * len(shown)]
    for (do, who), members in groups.items():
        cells = (cell([m.get(c) for m in members], 2 if c == "skill" else 1) for c in shown)
        lines.append(f"| {do} | {who} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(values: list[float | None], digits: int) -> str:
    """The mean, and in brackets least and most, or a dash where the row has no such figure."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    if not known:
        return "-"
    mean = f"{statistics.mean(known):.{digits}f}"
    spread = f" ({min(known):.{digits}f} to {max(known):.{digits}f})" if len(known) > 1 else ""
    return mean + spread


if __name__ == "__main__":
    main()
