"""A structure learner of your own: one class, held to the contract of its kind, then let loose on a table.

python examples/05_own_structure_learner.py
python examples/05_own_structure_learner.py table.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ccigkit import CausalGraph, Knowledge, Table
from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.data.files.columns import read_table
from ccigkit.graph import acyclic
from ccigkit.interfaces import StructureLearner
from ccigkit.testing import check


class R2Sort(StructureLearner):
    """R2-SortnRegress: the better the others explain an attribute, the later it stands; then regress on the earlier.

    Reisach et al. (2023), as a baseline that ought to be hard to beat only where simulated data are too easy.

    Args:
        threshold: standardised weights below this are no edges.
    """

    name = "r2sort"

    def __init__(self, names: tuple[str, ...], *, threshold: float = 0.1) -> None:
        self.names, self.threshold = names, threshold

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        """The graph of the table's latents, which have unit spread."""
        allowed, required = knowledge.allowed(table.names), knowledge.required_edges(table.names)
        moments = np.cov(table.latents, rowvar=False)
        explained = 1 - 1 / np.diag(moments) / np.diag(np.linalg.inv(moments))
        earlier = explained[:, None] < explained[None, :]
        causes = allowed & (earlier | ~allowed.T)  # where knowledge leaves one direction, that one
        weights = np.zeros_like(moments)
        for j, at in enumerate(causes.T):
            weights[at, j] = np.linalg.solve(moments[np.ix_(at, at)], moments[at, j])
        kept = (np.abs(weights) >= self.threshold) | required
        return CausalGraph(table.names, weights * acyclic(weights * kept, required))


def main() -> None:
    """Check the learner, then learn a graph with it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", type=Path, help="a .csv or .parquet of attributes (default: the pendulum)")
    path: Path | None = parser.parse_args().table

    check(R2Sort)
    print("R2Sort keeps the contract of a structure learner")

    table, knowledge = (read_table(path), Knowledge()) if path else (Pendulum().table(), Pendulum.knowledge)
    graph = R2Sort(table.names).learn(table, knowledge)
    print(graph.to_text())
    if table.truth:
        print(f"SHD to the true graph: {graph.shd(table.truth)}")
    print(
        "To use it as --structure r2sort, make it a plugin: plugins/ccigkit-lingam is one, docs/plugins.md tells how."
    )


if __name__ == "__main__":
    main()
