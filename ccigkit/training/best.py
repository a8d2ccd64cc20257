"""The best checkpoint, where a term says which that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ccigkit.errors import ConfigError, one_of


class Best:
    """Says at which checkpoint the mean of a term, over the steps since the one before, is the least so far.

    Args:
        term: "phase.term"; empty for no measure, by which nothing is ever the best.
        before: what `state` returned, of a training that goes on; forgotten where that was another term's.
    """

    def __init__(self, term: str, before: Mapping[str, Any]) -> None:
        self.term = term
        self.least: float = before["least"] if before.get("term") == term else math.inf
        self.step: int = before["step"] if before.get("term") == term and "step" in before else 0
        self._total, self._steps = 0.0, 0

    def state(self) -> dict[str, Any]:
        """What a later training goes on from."""
        return {"term": self.term, "least": self.least, "step": self.step}

    def add(self, terms: Mapping[str, float]) -> None:
        """Take in the terms of a step; those of a phase that was not played are missing."""
        if self.term in terms:
            self._total, self._steps = self._total + terms[self.term], self._steps + 1

    def check(self, terms: Iterable[str]) -> None:
        """Check that the term is among those there are.

        Raises:
            ConfigError: where it is not, with the nearest that is.
        """
        if self.term and self.term not in terms:
            raise ConfigError("train.best: " + one_of("term", self.term, terms))

    def improved(self, step: int) -> bool:
        """Whether this checkpoint, at a step, is the best so far; begins anew for the next."""
        mean = self._total / self._steps if self._steps else math.inf
        self._total, self._steps = 0.0, 0
        if better := mean < self.least:
            self.least, self.step = mean, step
        return better
