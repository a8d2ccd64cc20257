"""The proteins of Sachs et al. (2005)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from structure.base import Edges, Kind, Matrix, tiny_codes

SACHS = "STRUCTURE_SACHS"  # the folder real/sachs of cmu-phil/example-causal-datasets
PROTEINS = ("raf", "mek", "plc", "pip2", "pip3", "erk", "akt", "pka", "pkc", "p38", "jnk")
REAGENTS = {  # and what each acts on; icam2 on no protein that was measured
    "icam2": "",
    "aktinhib": "akt",
    "g0076": "pkc",
    "psitect": "pip2",
    "u0126": "mek",
    "ly": "pip3",
    "pma": "pkc",
    "b2camp": "pka",
}
# of 600 discrete cells each; the file does not say which, but five have a target at one level, and the others' levels
# follow the numbers
BLOCKS = ("b2camp", "", "aktinhib", "g0076", "psitect", "u0126", "icam2", "pma", "ly")
CONSENSUS = (
    *("pkc raf", "pkc mek", "pkc jnk", "pkc p38", "pkc pka", "pka raf", "pka mek", "pka erk", "pka akt", "pka jnk"),
    *("pka p38", "raf mek", "mek erk", "erk akt", "plc pip2", "plc pip3", "pip3 pip2"),
)


@dataclass(frozen=True)
class Sachs:
    """Eleven proteins in single cells (Sachs et al., 2005), and the graph of as many edges that they are held to.

    `observed` are the 853 cells that were only activated, `all` the 7,466 of nine conditions, both on a logarithmic
    scale; `discrete` are 600 cells of each condition, in three levels, by Sachs et al. What a reagent acts on is taken
    to have been set: akt, pkc, pip2, mek, pip3, pkc, pka as in Wang et al. (2017), who leave out the last two. In
    `discrete` it has the level that the reagent was to give it, and that of ly, pip3, has not.

    Graphs: the 17 edges of the network `sachs` of the bnlearn repository, and the 20 that come with the data.
    """

    rows: Literal["observed", "discrete", "all"]
    edges: Literal[17, 20]

    def __str__(self) -> str:
        return f"sachs-{self.rows}-e{self.edges}"

    def kinds_of(self, rows: Matrix) -> tuple[Kind, ...]:
        """The kinds of the columns of rows [n, d]."""
        return ("categorical" if self.rows == "discrete" else "continuous",) * rows.shape[1]

    def tiny(self) -> Matrix:
        """Rows [200, 4] of the same kinds."""
        if self.rows == "discrete":
            return tiny_codes()
        return np.random.default_rng(0).normal(size=(200, 4)).cumsum(axis=1)

    def conditions(self) -> Edges:
        """[n, 8], which reagents each cell was given, beside the one that activates or in its stead."""
        if self.rows == "discrete":
            return np.repeat(np.array([[name == own for name in REAGENTS] for own in BLOCKS]), 600, axis=0)
        found = _sachs("data/sachs.2005.continuous.discrete.experimental.mixed.maximum.2.txt")[:, -len(REAGENTS) :] > 0
        return found if self.rows == "all" else found[~found.any(axis=1)]

    def intervened(self) -> Edges:
        """[n, 11], which proteins were set."""
        acts = {**REAGENTS, "ly": ""} if self.rows == "discrete" else REAGENTS
        return self.conditions() @ np.array([[name == target for name in PROTEINS] for target in acts.values()])


def measured(cell: Sachs) -> tuple[Matrix, Edges]:
    """Rows [n, 11] and the graph [11, 11]."""
    if cell.rows == "discrete":
        rows = _sachs("data/sachs.2005.discrete.txt") - 1
    else:
        rows = _sachs("data/sachs.2005.continuous.discrete.experimental.mixed.maximum.2.txt")
        observed = ~(rows[:, -len(REAGENTS) :] > 0).any(axis=1)
        rows = rows[observed if cell.rows == "observed" else ..., : len(PROTEINS)]
    edges = [tuple(edge.split()) for edge in CONSENSUS]
    if cell.edges == 20:
        text = (_folder() / "ground.truth/sachs.2005.ground.truth.graph.txt").read_text()
        edges = re.findall(r"(\w+) --> (\w+)", text)
    truth = np.array([[(cause, effect) in edges for effect in PROTEINS] for cause in PROTEINS])
    assert truth.sum() == cell.edges, f"{truth.sum()} edges, not {cell.edges}"
    return rows, truth


def _sachs(name: str) -> Matrix:
    return np.loadtxt(_folder() / name, skiprows=1)


def _folder() -> Path:
    if not (folder := os.environ.get(SACHS)):
        raise ValueError(f"{SACHS} must be the folder real/sachs of cmu-phil/example-causal-datasets")
    return Path(folder)
