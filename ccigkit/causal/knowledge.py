"""What is known of a causal graph beforehand."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ccigkit.causal.dag import find_cycle, paired
from ccigkit.causal.edges import Pair
from ccigkit.errors import GraphError, one_of


@dataclass(frozen=True)
class Knowledge:
    """What is known of the graph before looking at the data; every structure learner honours it.

    Edges are pairs (cause, effect). Tiers order attributes in time: nothing in a later tier causes anything in an
    earlier one; attributes in no tier are free. Confounded are two of which neither causes the other directly, however
    much they go together: something hidden causes both.

    Args:
        required: edges that are there.
        forbidden: edges that are not.
        tiers: names that come first, second, ...
        roots: attributes without a cause.
        leaves: attributes without an effect.
        confounded: pairs with a hidden common cause, and no edge.

    Examples:
        >>> known = Knowledge(tiers=(("age",), ("wage",)), forbidden=frozenset({("sex", "age")}))
        >>> known.allowed(["age", "sex", "wage"]).astype(int).tolist()
        [[0, 1, 1], [0, 0, 1], [0, 1, 0]]
    """

    required: frozenset[tuple[str, str]] = frozenset()
    forbidden: frozenset[tuple[str, str]] = frozenset()
    tiers: tuple[tuple[str, ...], ...] = ()
    roots: frozenset[str] = frozenset()
    leaves: frozenset[str] = frozenset()
    confounded: frozenset[Pair] = frozenset()

    def allowed(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        """[d, d], true where an edge from row to column contradicts nothing that is known.

        Args:
            names: the attributes, in the order of rows and columns.
        """
        allowed = ~np.eye(len(names), dtype=bool)
        at = {name: i for i, name in enumerate(names)}
        for cause, effect in self._known(self.forbidden, names):
            allowed[at[cause], at[effect]] = False
        for cause, effect in self._known(self.required, names):
            allowed[at[effect], at[cause]] = False
        for root in self._named(self.roots, names):
            allowed[:, at[root]] = False
        for leaf in self._named(self.leaves, names):
            allowed[at[leaf], :] = False
        allowed &= ~self._confounding(names)
        tiers = [[at[name] for name in self._named(tier, names)] for tier in self.tiers]
        for later, tier in enumerate(tiers):
            for earlier in tiers[:later]:
                allowed[np.ix_(tier, earlier)] = False
        return allowed

    def required_edges(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        """[d, d], true where an edge from row to column is required.

        Args:
            names: the attributes, in the order of rows and columns.

        Raises:
            GraphError: where the required edges contradict the rest, or form a cycle.

        Examples:
            >>> Knowledge(required=frozenset({("a", "b")})).required_edges(["a", "b"]).tolist()
            [[False, True], [False, False]]
        """
        required = np.zeros((len(names), len(names)), dtype=bool)
        for cause, effect in self._known(self.required, names):
            required[names.index(cause), names.index(effect)] = True
        for i, j in np.argwhere(required & self._confounding(names)):
            one, other = names[i], names[j]
            raise GraphError(
                f"{one} -> {other} is required, and by {one} <-> {other} neither causes the other; keep one of the two"
            )
        for i, j in np.argwhere(required & ~self.allowed(names)):
            raise GraphError(f"the edge {names[i]} -> {names[j]} is both required and forbidden")
        if cycle := find_cycle(required):
            raise GraphError(f"the required edges form a cycle among {', '.join(names[i] for i in cycle)}")
        return required

    def needed(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        """The old name of `required_edges`, for one release."""
        warnings.warn("Knowledge.needed is called required_edges now", DeprecationWarning, stacklevel=2)
        return self.required_edges(names)

    def joined(self, more: Knowledge) -> Knowledge:
        """Both together; the tiers are those of `more`, where it has any."""
        return Knowledge(
            self.required | more.required,
            self.forbidden | more.forbidden,
            more.tiers or self.tiers,
            self.roots | more.roots,
            self.leaves | more.leaves,
            self.confounded | more.confounded,
        )

    def __bool__(self) -> bool:
        return any((self.required, self.forbidden, self.tiers, self.roots, self.leaves, self.confounded))

    def _confounding(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        self._named((name for pair in self.confounded for name in sorted(pair)), names)
        return paired(self.confounded, names)

    @staticmethod
    def _named(wanted: Iterable[str], names: Sequence[str]) -> list[str]:
        for name in wanted:
            if name not in names:
                raise GraphError(one_of("attribute in the background knowledge:", name, names))
        return list(wanted)

    def _known(self, edges: Iterable[tuple[str, str]], names: Sequence[str]) -> list[tuple[str, str]]:
        pairs = list(edges)
        self._named((name for pair in pairs for name in pair), names)
        return pairs
