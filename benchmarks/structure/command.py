"""The structure benchmark of the docs: our learners beside the peers that install from the package index.

    uv pip install -e '.[bench]'
    python benchmarks/structure                                  # everything: hours
    python benchmarks/structure --claims notears pc --seeds 0 1  # a part, merged into what is there
    python benchmarks/structure --methods ccigkit:boss --again   # one learner anew, everywhere
    python benchmarks/structure --only-write                     # table and plot from what is there
    python benchmarks/structure --claims field --only-write --summary  # class distances, method by network
    python benchmarks/structure --claims sachs-observed sachs-discrete sachs-all --seeds 0 --sachs FOLDER

Known networks are sampled once each, into the folder of --tables. They are read from the folder of --networks, of files
such as alarm.bif.gz, or else downloaded by pgmpy. The proteins of Sachs et al. are read from the folder of --sachs.

Every run (method, cell, seed) is a process of its own with one thread, so that no crash, import or memory of one
touches another. Runs are sequential and interleaved: for each seed, for each cell, all methods, beginning with another
each time. A run past the limit is stopped, and its method's other seeds of that cell are then left out.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from structure.claims import CLAIMS, of_proteins
from structure.networks import NETWORKS, TABLES
from structure.page import page, summary
from structure.plot import plot
from structure.proteins import SACHS
from structure.runs import Record, play, runs

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Run what is asked for and write what there is."""
    parser = argparse.ArgumentParser(
        prog="structure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
    panels = {
        (method, cell)
        for each in CLAIMS.values()
        if each.shown == "cells"
        for cell in each.cells
        for method in each.methods
    }
    plot([r for r in records if (r["method"], r["cell"]) in panels], picture)
