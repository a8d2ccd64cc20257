"""How sure an edge of a learned graph is: how strong it is, and what its arrow rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reason = Literal["the data", "choice", "assumption", "knowledge"]


@dataclass(frozen=True)
class Evidence:
    """Of an edge of a learned graph: its strength, what turning its arrow costs, and why the arrow points that way.

    Args:
        strength: from 0 to 1, on the scale of a correlation, given the effect's other causes; free of the rows' number.
        reversal: nats by which the best graph that was found with the arrow turned scores less than the best one found;
            infinite where knowledge forbids it, not a number where no such graph was looked for.
        reason: choice, where a graph with the arrow turned explains the data as well; assumption, where only the form
            of the score's effects tells the two apart, and nothing is claimed; knowledge, where that settles it; else
            the data.
        assumed: the form of the effects, where the reason is an assumption.

    Examples:
        >>> print(Evidence(0.31, 210.4, "the data"))
        strength 0.31, turned 210 nats worse: by the data
        >>> print(Evidence(0.31, 0.0, "choice"), Evidence(0.31, float("inf"), "knowledge"), sep="; ")
        strength 0.31, turned 0 nats worse: by choice; strength 0.31: as told
    >>> print(Evidence(0.31, 210.4, "assumption", "curves"))
    strength 0.31: by assumption of curves
    """

    strength: float
    reversal: float
    reason: Reason
    assumed: str = ""

    @property
    def nats(self) -> str:
        """The cost of turning, to the digits that matter.

        A dash where it cannot be turned, nobody looked, or the cost is that of an assumption, which tells nothing.
        """
        if self.reason == "assumption" or not self.reversal < float("inf"):
            return "-"
        return f"{self.reversal:.0f}" if self.reversal >= 10 or not self.reversal else f"{self.reversal:.2g}"

    @property
    def why(self) -> str:
        """The reason in words."""
        if self.reason == "knowledge":
            return "as told"
        return f"by {self.reason} of {self.assumed}" if self.assumed else f"by {self.reason}"

    def __str__(self) -> str:
        turned = "" if self.nats == "-" else f", turned {self.nats} nats worse"
        return f"strength {self.strength:.2f}{turned}: {self.why}"
