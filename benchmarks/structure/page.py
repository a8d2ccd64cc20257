"""What the records say, as a page of the docs or a summary."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from structure.claims import AUTO, CLAIMS, OWN, PC_AS_OURS, Claim
from structure.runs import Record

LEGEND = """Graphs are random, two edges per attribute (ER2), but for the known networks (bnlearn) and the proteins.
Figures are medians over seeds (least to most).

- *SHD*: an undirected edge counts as one error, and so does a reversal.
- *As a DAG*: undirected edges are directed first, by the rule that ours follow.
- *Class*: the distance between the equivalence classes: no guess counts, nor an arrow that only a curve tells.
- *Regret*: the SHD of `auto` less the least of those of its own scores (of `boss`), where these were run.
- *Times*: CPU seconds over those of our first learner in the table.
- *Known networks*: the distance of classes, in brackets CPU seconds, and the seeds where these are not five.
- *MiB*: the most memory of the whole process, imports and data included.
"""


def page(records: Sequence[Record], picture: Path) -> str:
    """The page of the docs: one table per claim and cell."""
    machines = "; ".join(sorted({r["machine"] for r in records}))
    versions = sorted({f"{r['method'].split(':')[0]} {r['version']}" for r in records if "version" in r})
    lines = [
        "# Structure benchmark",
        "",
        f"Written by `benchmarks/structure` on {time.strftime('%Y-%m-%d')}.",
        f"Packages: {', '.join(versions)}.",
        f"Machine: {machines}; one thread per run, imports outside the clock.",
        "",
        LEGEND,
        f"![accuracy against time]({picture.as_posix()})",
        "",
    ]
    lines += [*regrets([claim for claim in CLAIMS.values() if claim.shown == "regret"], records), ""]
    for claim in CLAIMS.values():
        if claim.shown == "classes":
            lines += [*(f"## {claim.title}" if line == claim.title else line for line in summary(records, [claim])), ""]
        for cell in claim.cells if claim.shown == "cells" else ():
            all_of = [r for r in records if r["cell"] == cell]
            mine = [r for r in all_of if r["method"] in claim.methods]
            if mine:
                lines += [f"## {claim.title}: {cell}", "", *table(claim, mine, all_of), "", *agreement(claim, mine)]
    return "\n".join(lines).rstrip() + "\n"


def regrets(claims: Iterable[Claim], records: Sequence[Record]) -> Iterator[str]:
    """One line per cell: auto, the least SHD of its scores, and how much more auto has."""
    heads = ("table", "scores run", "seeds", "SHD", "class", "least SHD of its scores", "regret", "CPU s")
    yield from ("## Regret of auto", "", "| " + " | ".join(heads) + " |", "|---|---|" + "--:|" * (len(heads) - 2))
    for claim in claims:
        for cell in claim.cells:
            mine = [r for r in records if r["cell"] == cell]
            found = regret(mine)
            done = [r for r in mine if r["method"] == AUTO and r["seed"] in found]
            if done:
                least = [{"shd": r["shd"] - found[r["seed"]]} for r in done]
                figures = (spread(done, "shd", "g"), spread(done, "of_class", "g"), spread(least, "shd", "g"))
                of = spread([{"regret": value} for value in found.values()], "regret", "g")
                run = sorted({r["method"].removeprefix(OWN) for r in mine if r["method"].startswith(OWN)})
                yield (
                    f"| {cell} | {', '.join(run)} | {len(done)} | "
                    + " | ".join((*figures, of, spread(done, "cpu", ".2g")))
                    + " |"
                )


def regret(records: Iterable[Record]) -> dict[int, int]:
    """By seed, the SHD of auto less the least of its scores', itself included, where any was run; of one cell."""
    auto, least = {}, {}
    for r in records:
        if "shd" in r and r["method"] == AUTO:
            auto[r["seed"]] = r["shd"]
        elif "shd" in r and r["method"].startswith(OWN):
            least[r["seed"]] = min(r["shd"], least.get(r["seed"], r["shd"]))
    return {seed: max(0, shd - least[seed]) for seed, shd in auto.items() if seed in least}


def summary(
    records: Sequence[Record],
    claims: Iterable[Claim],
    cells: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
) -> Iterator[str]:
    """Method by cell: the median distance of classes, in brackets that of CPU seconds and the seeds where not five."""
    there = {(r["method"], r["cell"]) for r in records}
    for claim in claims:
        heads = [cell for cell in claim.cells if cells is None or cell in cells]
        rows = [name for name in claim.methods if methods is None or name.startswith(tuple(methods))]
        rows = [name for name in rows if any((name, cell) in there for cell in heads)]
        if rows:
            yield from ("", claim.title, "", "| method | " + " | ".join(heads) + " |", "|---|" + "--:|" * len(heads))
        for name in rows:
            found = [[r for r in records if (r["method"], r["cell"]) == (name, cell)] for cell in heads]
            yield f"| {name} | " + " | ".join(map(brief, found)) + " |"


def brief(records: Sequence[Record]) -> str:
    """One method on one cell in few letters."""
    done = [r for r in records if "of_class" in r]
    if not done:
        return next((f"> {r['limit']} s" if "limit" in r else "failed" for r in records), "")
    distance, cpu = (statistics.median(r[key] for r in done) for key in ("of_class", "cpu"))
    seconds = format(cpu, ".2g" if cpu < 99 else ".0f")
    return f"{distance:g} ({seconds} s" + (f", {len(done)})" if len(done) != 5 else ")")


def table(claim: Claim, records: Sequence[Record], others: Sequence[Record] = ()) -> list[str]:
    """One line per method, of a cell; other records of it tell the regret."""
    heads = (
        "method",
        "seeds",
        "SHD",
        "as a DAG",
        "class",
        "regret",
        "skeleton F1",
        "arrows F1",
        "seconds",
        "CPU s",
        "times",
        "MiB",
    )
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "--:|" * (len(heads) - 1)]
    own = regret([*records, *others])
    base = next((m for m in (median(records, name, "cpu") for name in claim.ours) if m is not None), None)
    for method in claim.methods:
        mine = [r for r in records if r["method"] == method]
        done = [r for r in mine if "shd" in r]
        if not mine:
            continue
        name = method.replace(":", " ")
        if not done:
            why = mine[0].get("error") or f"stopped after {mine[0]['limit']} CPU s"
            lines.append(f"| {name} | 0 | {why.replace('|', '/')} |" + " |" * (len(heads) - 3))
            continue
        cyclic = sum(r["cyclic"] for r in done)
        cells = [
            f"{name} ({cyclic} of {len(done)} with a cycle)" if cyclic else name,
            str(len(done)),
            *(spread(done, key, "g") for key in ("shd", "as_dag", "of_class")),
            spread([{"regret": each} for each in own.values()], "regret", "g") if own and method == AUTO else "",
            *(spread(done, key, ".2f") for key in ("skeleton", "arrows")),
            *(spread(done, key, ".3g") for key in ("wall", "cpu")),
            f"{statistics.median(r['cpu'] for r in done) / base:.1f}" if base else "",
            spread([r for r in done if "mib" in r], "mib", ".0f"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def agreement(claim: Claim, records: Sequence[Record]) -> list[str]:
    """In how many seeds our PC finds just the graph of causal-learn's own call."""
    if PC_AS_OURS not in claim.methods:
        return []
    graphs = {(r["method"], r["seed"]): set(map(tuple, r["edges"])) for r in records if "edges" in r}
    same = [
        ours == graphs[PC_AS_OURS, seed]
        for (method, seed), ours in graphs.items()
        if method in claim.ours and (PC_AS_OURS, seed) in graphs
    ]
    said = (
        f"Our PC finds the graph of causal-learn's own call, edge for edge, in {sum(same)} of {len(same)} seeds: given "
        "the columns in the order in which ours sees them, and its answer directed by our rule. Colliders contradict "
        "each other here, so causal-learn's answer depends on the order of the columns; ours does not."
    )
    return [said, ""] if same else []


def median(records: Iterable[Record], method: str, key: str) -> float | None:
    """The median of a figure over a method's seeds, or None where it has none."""
    values = [r[key] for r in records if r["method"] == method and key in r]
    return statistics.median(values) if values else None


def spread(records: Sequence[Record], key: str, how: str) -> str:
    """The median over seeds, and least and most where they differ; nothing of none."""
    values = [r[key] for r in records]
    if not values:
        return ""
    least, middle, most = (format(v, how) for v in (min(values), statistics.median(values), max(values)))
    return middle if least == most else f"{middle} ({least} to {most})"
