"""The structure benchmark of the docs: our learners beside the peers that install from the package index.

    uv pip install -e '.[bench]'
    python benchmarks/structure.py                                  # everything: hours
    python benchmarks/structure.py --claims notears pc --seeds 0 1  # a part, merged into what is there
    python benchmarks/structure.py --methods ccigkit:boss --again   # one learner anew, everywhere
    python benchmarks/structure.py --only-write                     # table and plot from what is there
    python benchmarks/structure.py --claims field --only-write --summary  # class distances, method by network
    python benchmarks/structure.py --claims sachs-observed sachs-discrete sachs-all --seeds 0 --sachs FOLDER

Known networks are sampled once each, into the folder of --tables. They are read from the folder of --networks, of files
such as alarm.bif.gz, or else downloaded by pgmpy. The proteins of Sachs et al. are read from the folder of --sachs.

Every run (method, cell, seed) is a process of its own with one thread, so that no crash, import or memory of one
touches another. Runs are sequential and interleaved: for each seed, for each cell, all methods, beginning with another
each time. A run past the limit is stopped, and its method's other seeds of that cell are then left out.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from structure_data import NETWORKS, SACHS, TABLES, Cell, Network, parse_cell

ROOT = Path(__file__).parents[1]
ONE = Path(__file__).with_name("structure_one.py")
Record = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """What a part of the benchmark is to show: cells, ours and peers that all of them are given to."""

    title: str
    cells: tuple[str, ...]
    ours: tuple[str, ...]
    peers: tuple[str, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        """Ours and peers."""
        return self.ours + self.peers


ORDER_PEERS = ("causal-learn:boss", "causal-learn:boss:lambda=1", "causal-learn:boss:lambda=0.5", "causal-learn:grasp")
BIG = "logistic-d40-n200000-raw"
# On raw cells the scale of the rows is part of what they are to find, and penalties and thresholds are their papers'.
RAW_NOTEARS = "ccigkit:notears:l1=0.1,threshold=0.3,standardise=false"
RAW_DAGMA = "ccigkit:dagma:l1=0.05,threshold=0.3,standardise=false"
RAW_GOLEM = "ccigkit:golem:likelihood=ev,l1=0.02,threshold=0.3,standardise=false"
RAW_MLP = "ccigkit:notears:model=mlp,l1=0.01,threshold=0.5,standardise=false"
PC_AS_OURS = "causal-learn:pc:directed=ours"
OURS_ON_NETWORKS = ("ccigkit:auto", "ccigkit:boss", "ccigkit:pc")
PEERS_ON_NETWORKS = (
    *(f"causal-learn:pc:test={test},alpha={alpha}" for test in ("chisq", "gsq") for alpha in (0.01, 0.05)),
    *(f"causal-learn:{name}:score=local_score_BDeu" for name in ("ges", "boss", "grasp")),
    # K2 of pgmpy 1.1.2 adds log Gamma(levels) for each state of the parents that no row has, so it joins too many
    *(f"pgmpy:hc:score={score}" for score in ("bdeu,ess=10", "bdeu,ess=1", "k2", "bic-d")),
    *(f"pgmpy:ges:score={score}" for score in ("bdeu,ess=10", "bdeu,ess=1", "bic-d")),
    "pgmpy:pc",
    "gcastle:pc:ci_test=chi2",
)
PEERS_ON_PROTEINS = (
    *ORDER_PEERS,
    *("causal-learn:ges", "causal-learn:ges:lambda=1", "causal-learn:pc", "causal-learn:pc:alpha=0.05"),
    "gcastle:notears",
)
LOOKED_AT = ("cancer", "earthquake", "survey", "asia", "sachs", "child", "insurance", "alarm")
HELD_OUT = ("hepar2", "hailfinder", "win95pts", "water", "mildew", "barley", "pathfinder", "andes")
CLAIMS = {
    "notears": Claim(
        "NOTEARS, linear",
        ("linear-d10-n100000-raw", "linear-d20-n10000-raw", "linear-d50-n1000-raw"),
        (RAW_NOTEARS,),
        ("gcastle:notears",),
    ),
    "notears-std": Claim(
        "NOTEARS, linear, standardised",
        ("linear-d10-n100000-std", "linear-d20-n10000-std", "linear-d50-n1000-std"),
        ("ccigkit:notears:l1=0.1,threshold=0.3", "ccigkit:notears"),  # at the peer's penalty and threshold, and at ours
        ("gcastle:notears",),
    ),
    "boss": Claim("BOSS, d=50", ("linear-d50-n1000-raw", "linear-d50-n1000-std"), ("ccigkit:boss",), ORDER_PEERS[:3]),
    "binary": Claim("BOSS on 200,000 rows of labels", (BIG,), ("ccigkit:boss",), ("causal-learn:pc",)),
    "pc": Claim("PC on 200,000 rows of labels", (BIG,), ("ccigkit:pc",), ("causal-learn:pc", PC_AS_OURS)),
    "auto-linear": Claim(
        "auto, linear",
        ("linear-d20-n1000-std", "linear-d50-n1000-std"),
        ("ccigkit:auto",),
        (*ORDER_PEERS, "causal-learn:pc", "gcastle:notears", "dagma:linear"),
    ),
    "auto-logistic": Claim(
        "auto, labels",
        ("logistic-d10-n5000-raw", "logistic-d20-n5000-raw"),
        ("ccigkit:auto",),
        (
            *ORDER_PEERS,
            "causal-learn:boss:score=local_score_BDeu",
            "causal-learn:pc",
            "causal-learn:ges",
            "gcastle:notears:loss_type=logistic",
            "dagma:logistic",
        ),
    ),
    "auto-mlp": Claim(
        "auto, networks",
        ("mlp-d10-n1000-std",),
        ("ccigkit:auto",),
        (*ORDER_PEERS, "causal-learn:pc", "gcastle:notears-mlp", "dagma:mlp"),
    ),
    "auto-mixed": Claim(
        "auto, numbers, labels and categories",
        ("mixed-d10-n1000-std", "mixed-d20-n5000-std"),
        ("ccigkit:auto", "ccigkit:pc"),
        (*ORDER_PEERS, "causal-learn:pc", "gcastle:notears", "dagma:linear"),  # to which all are numbers
    ),
    "notears-mlp": Claim(
        "NOTEARS, networks",
        ("mlp-d10-n1000-raw",),
        (RAW_MLP,),
        ("gcastle:notears-mlp", "dagma:mlp"),
    ),
    "notears-mlp-std": Claim(
        "NOTEARS, networks, standardised",
        ("mlp-d10-n1000-std",),
        ("ccigkit:notears:model=mlp",),
        ("gcastle:notears-mlp", "dagma:mlp"),
    ),
    "memory": Claim(
        "Memory on 200,000 rows",
        (BIG,),
        ("ccigkit:auto", "ccigkit:boss", "ccigkit:pc", "ccigkit:notears", "ccigkit:dagma", "ccigkit:golem"),
        (),
    ),
    "all": Claim(
        "Every learner",
        ("linear-d20-n1000-std",),
        (
            *("ccigkit:auto", "ccigkit:boss", "ccigkit:pc", "ccigkit:ges", "ccigkit:grasp"),
            *("ccigkit:notears", "ccigkit:dagma", "ccigkit:golem", "ccigkit:gae"),
        ),
        (*ORDER_PEERS, "causal-learn:pc", "causal-learn:ges", "gcastle:notears", "gcastle:golem", "dagma:linear"),
    ),
    "raw": Claim(
        "Every learner by least squares or likelihood, on the rows as they are",
        ("linear-d20-n1000-raw",),
        (RAW_NOTEARS, RAW_DAGMA, RAW_GOLEM),
        ("gcastle:notears", "gcastle:golem", "dagma:linear"),
    ),
    "field": Claim(
        "Known networks, looked at while the learners were made",
        tuple(f"{name}-n5000" for name in LOOKED_AT),
        OURS_ON_NETWORKS,
        PEERS_ON_NETWORKS,
    ),
    "field-held-out": Claim(
        "Known networks, first looked at when the learners were done",
        tuple(f"{name}-n5000" for name in HELD_OUT),
        OURS_ON_NETWORKS,
        PEERS_ON_NETWORKS,
    ),
    "sachs-observed": Claim(
        "Proteins, only activated",
        ("sachs-observed-e17", "sachs-observed-e20"),
        ("ccigkit:auto", "ccigkit:boss:score=gaussian", "ccigkit:pc"),
        PEERS_ON_PROTEINS,
    ),
    "sachs-discrete": Claim(
        "Proteins, in three levels, of nine conditions",
        ("sachs-discrete-e17", "sachs-discrete-e20"),
        ("ccigkit:auto", "ccigkit:auto:interventions=true", "ccigkit:pc"),
        (*PEERS_ON_NETWORKS, "gies:gies:interventions=true"),  # to which levels are numbers
    ),
    "sachs-all": Claim(
        "Proteins, of nine conditions",
        ("sachs-all-e17", "sachs-all-e20"),
        (
            *("ccigkit:auto", "ccigkit:auto:interventions=true", "ccigkit:auto:conditions=true"),
            "ccigkit:auto:interventions=true,conditions=true",
            *("ccigkit:boss:score=gaussian", "ccigkit:boss:score=gaussian,interventions=true", "ccigkit:pc"),
        ),
        (
            *PEERS_ON_PROTEINS,
            *(
                "causal-learn:pc:conditions=true",
                "causal-learn:boss:conditions=true",
                "causal-learn:grasp:conditions=true",
            ),
            *(
                "gies:gies:interventions=true",
                "gies:gies:conditions=true",
                "gies:gies:interventions=true,conditions=true",
            ),
        ),
    ),
    "field-many": Claim(
        "Known networks, 50,000 rows",
        tuple(f"{name}-n50000" for name in ("child", "insurance", "alarm", "hepar2")),
        OURS_ON_NETWORKS,
        PEERS_ON_NETWORKS,
    ),
}


def main() -> None:
    """Run what is asked for and write what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claims", nargs="+", choices=CLAIMS, metavar="CLAIM", help="all that there are tables for")
    parser.add_argument("--cells", nargs="+", help="only these cells")
    parser.add_argument("--methods", nargs="+", help="only methods that begin so, such as ccigkit or gcastle:notears")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--limit", type=int, default=900, help="CPU seconds for one run, imports included")
    parser.add_argument("--again", action="store_true", help="run what is there already once more")
    parser.add_argument("--only-write", action="store_true", help="run nothing")
    parser.add_argument("--records", type=Path, default=ROOT / "benchmarks/structure.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/structure-benchmark.md")
    parser.add_argument(
        "--tables", type=Path, help=f"where sampled networks are kept; ${TABLES}, or a temporary folder"
    )
    parser.add_argument(
        "--networks", type=Path, help=f"a folder of files such as alarm.bif.gz; ${NETWORKS}, or pgmpy's"
    )
    parser.add_argument(
        "--sachs", type=Path, help=f"the folder real/sachs of cmu-phil/example-causal-datasets; ${SACHS}"
    )
    parser.add_argument("--summary", action="store_true", help="print class distances and CPU seconds, write no page")
    given = parser.parse_args()
    if given.sachs or SACHS in os.environ or given.only_write:
        given.claims = given.claims or list(CLAIMS)
    elif any(map(of_proteins, given.claims or ())):
        parser.error("the proteins are read from --sachs FOLDER")
    else:
        given.claims = given.claims or [claim for claim in CLAIMS if not of_proteins(claim)]
    places = ((TABLES, given.tables), (NETWORKS, given.networks), (SACHS, given.sachs))
    os.environ.update({key: str(path) for key, path in places if path})
    records: list[Record] = json.loads(given.records.read_text()) if given.records.exists() else []
    if not given.only_write:
        plan = list(runs([CLAIMS[claim] for claim in given.claims], given.cells, given.methods, given.seeds))
        if given.again:
            records = [r for r in records if (r["method"], r["cell"], r["seed"]) not in plan]
        for run in plan:
            records = play(run, records, given.limit)
            given.records.parent.mkdir(parents=True, exist_ok=True)
            given.records.write_text("[\n" + ",\n".join(map(json.dumps, records)) + "\n]\n")
    if given.summary:
        print("\n".join(summary(records, [CLAIMS[claim] for claim in given.claims], given.cells, given.methods)))
        return
    given.page.parent.mkdir(parents=True, exist_ok=True)
    picture = given.page.parent / "images" / f"{given.page.stem}.png"
    given.page.write_text(page(records, picture.relative_to(given.page.parent)))
    plot(records, picture)


def of_proteins(claim: str) -> bool:
    """Whether a claim is about the table of Sachs et al., which has to be there."""
    return claim.startswith("sachs-")


LEGEND = """Graphs are random, two edges per attribute (ER2), but for the known networks, of the bnlearn repository.
Figures are medians over seeds (least to most).

- *SHD*: an undirected edge counts as one error, and so does a reversal.
- *As a DAG*: undirected edges are directed first, by the rule that ours follow.
- *Class*: the distance between the equivalence classes: no guess counts, nor an arrow that only a curve tells.
- *Times*: CPU seconds over those of our first learner in the table.
- *MiB*: the most memory of the whole process, imports and data included.
"""


# --- running ----------------------------------------------------------------------------------------------------------


Run = tuple[str, str, int]  # method, cell, seed


def runs(
    claims: Iterable[Claim], cells: Sequence[str] | None, methods: Sequence[str] | None, seeds: Iterable[int]
) -> Iterator[Run]:
    """Each run once, interleaved: every seed begins with another method, so that no method always runs first."""
    wanted: dict[str, dict[str, None]] = {}
    for claim in claims:
        for cell in claim.cells:
            wanted.setdefault(cell, {}).update(dict.fromkeys(claim.methods))
    for seed in seeds:
        for cell, given in wanted.items():
            names = [name for name in given if methods is None or name.startswith(tuple(methods))]
            turn = seed % len(names) if names else 0
            if cells is None or cell in cells:
                yield from ((name, cell, seed) for name in names[turn:] + names[:turn])


def play(run: Run, records: list[Record], limit: int) -> list[Record]:
    """The records with one more run, or as they are where it is there already, or its method was too slow here."""
    method, cell, seed = run
    there = [r for r in records if (r["method"], r["cell"]) == (method, cell)]
    if any(r["seed"] == seed or "limit" in r for r in there):
        return records
    print(f"{cell}  seed {seed}  {method}", end="  ", flush=True)
    found = measure(run, limit)
    print({key: value for key, value in found.items() if key != "edges"}, flush=True)
    return [*records, {"method": method, "cell": cell, "seed": seed, "machine": machine(), **found}]


def measure(run: Run, limit: int) -> Record:
    """What one run in its own process found, or why it found nothing."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    words = [sys.executable, str(ONE), *map(str, (*run, limit))]
    hashes = {"PYTHONHASHSEED": str(run[2])}  # pgmpy settles ties by the order of sets of names
    done = subprocess.run(words, env={**os.environ, **threads, **hashes}, capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGXCPU:
        return {"limit": limit}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:200]}
    found: Record = json.loads(done.stdout.strip().splitlines()[-1])  # what stands above is the peer's own talk
    return found


def machine() -> str:
    """What the run ran on, in a few words."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


# --- writing ----------------------------------------------------------------------------------------------------------


def page(records: Sequence[Record], picture: Path) -> str:
    """The page of the docs: one table per claim and cell."""
    machines = "; ".join(sorted({r["machine"] for r in records}))
    versions = sorted({f"{r['method'].split(':')[0]} {r['version']}" for r in records if "version" in r})
    lines = [
        "# Structure benchmark",
        "",
        f"Written by `benchmarks/structure.py` on {time.strftime('%Y-%m-%d')}.",
        f"Packages: {', '.join(versions)}.",
        f"Machine: {machines}; one thread per run, imports outside the clock.",
        "",
        LEGEND,
        f"![accuracy against time]({picture.as_posix()})",
        "",
    ]
    for claim in CLAIMS.values():
        for cell in claim.cells:
            mine = [r for r in records if r["cell"] == cell and r["method"] in claim.methods]
            if mine:
                lines += [f"## {claim.title}: {cell}", "", *table(claim, mine), "", *agreement(claim, mine)]
    return "\n".join(lines).rstrip() + "\n"


def summary(
    records: Sequence[Record], claims: Iterable[Claim], cells: Sequence[str] | None, methods: Sequence[str] | None
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


def table(claim: Claim, records: Sequence[Record]) -> list[str]:
    """One line per method."""
    heads = (
        "method",
        "seeds",
        "SHD",
        "as a DAG",
        "class",
        "skeleton F1",
        "arrows F1",
        "seconds",
        "CPU s",
        "times",
        "MiB",
    )
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "--:|" * (len(heads) - 1)]
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
            *(spread(done, key, ".2f") for key in ("skeleton", "arrows")),
            *(spread(done, key, ".3g") for key in ("wall", "cpu")),
            f"{statistics.median(r['cpu'] for r in done) / base:.1f}" if base else "",
            spread(done, "mib", ".0f"),
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
    """The median over seeds, and least and most where they differ."""
    values = [r[key] for r in records]
    least, middle, most = (format(v, how) for v in (min(values), statistics.median(values), max(values)))
    return middle if least == most else f"{middle} ({least} to {most})"


def order(cell: str) -> tuple[str, int, int, str]:
    """By model, then by size; known networks last, by name."""
    parsed = parse_cell(cell)
    if isinstance(parsed, Cell):
        return parsed.model, parsed.d, parsed.n, parsed.scale
    return ("network", 0, parsed.n, parsed.name) if isinstance(parsed, Network) else ("proteins", 0, 0, cell)


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


if __name__ == "__main__":
    main()
