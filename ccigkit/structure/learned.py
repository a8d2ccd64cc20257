"""A learned graph, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass

from ccigkit.causal.graph import CausalGraph
from ccigkit.structure.base import StructureLearner


@dataclass(frozen=True)
class Learned:
    """A learned graph, the learner that found it, and how long it took."""

    graph: CausalGraph
    learner: StructureLearner
    seconds: float
