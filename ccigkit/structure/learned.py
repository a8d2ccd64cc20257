"""A learned graph, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass

from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.structure.base import StructureLearner


@dataclass(frozen=True)
class Learned:
    """A learned graph, the learner that found it, how long it took, and what it was told."""

    graph: CausalGraph
    learner: StructureLearner
    seconds: float
    knowledge: Knowledge  # what was known beforehand
