"""Tables by name."""

from __future__ import annotations

import re

from structure import drawn
from structure.base import Edges, Matrix
from structure.drawn import Cell
from structure.networks import Network, sampled
from structure.proteins import Sachs, measured

AnyCell = Cell | Network | Sachs


def parse_cell(name: str) -> AnyCell:
    """The cell of a name such as "linear-d10-n1000-std", "alarm-n5000" or "sachs-all-e17".

    Raises:
        ValueError: where the name is none.
    """
    if found := re.fullmatch(r"sachs-(observed|discrete|all)-e(17|20)", name):
        return Sachs(found[1], int(found[2]))  # type: ignore[arg-type]
    found = re.fullmatch(r"([a-z][a-z0-9]*)-n(\d+)", name)
    return Network(found[1], int(found[2])) if found else Cell.parse(name)


def draw(cell: AnyCell, seed: int) -> tuple[Matrix, Edges]:
    """Rows [n, d] and the graph [d, d] that made them, or that they are held to."""
    if isinstance(cell, Network):
        return sampled(cell, seed)
    return measured(cell) if isinstance(cell, Sachs) else drawn.draw(cell, seed)
