"""What a search over graphs asks of a score: how well a set of causes explains an attribute; higher is better."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from ccigkit.causal.attributes import Values
from ccigkit.causal.strengths import Support


class Score(ABC):
    """The local score of each of d attributes given causes, a tuple of positions in any order.

    It is in nats: a log-likelihood, or its like, less what the parameters cost.
    """

    size: int
    n: int  # the rows it has looked at
    equivalent = True  # whether all graphs of one equivalence class score alike, or as good as alike
    apart: Support | None = None  # [d, d], pairs of which rows tell the direction, as one was set without the other
    assumed = ""  # the form of effects by which it tells graphs of one class apart, where it does
    exact = True  # whether `additions` are the very scores that `local` gives

    @abstractmethod
    def local(self, target: int, causes: tuple[int, ...]) -> float:
        """The score of the target given these causes."""

    @abstractmethod
    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        """[d], the score with each further cause added; those already in, and the target itself, raise nothing."""

    def removals(self, target: int, causes: tuple[int, ...]) -> Values:
        """The score with each of the causes, in their order, left out."""
        return np.array([self.local(target, causes[:i] + causes[i + 1 :]) for i in range(len(causes))])
