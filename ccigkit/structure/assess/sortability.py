"""How much of a graph's order is written in the data's scale or predictability, where a sort would find it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ccigkit.causal.attributes import Values
from ccigkit.causal.strengths import Support

TIE = 1e-9  # relative: what differs by less is equal


def varsortability(values: Values, adjacency: Support) -> float:
    """The share of directed paths along which the variance of rows [n, d] rises (Reisach et al., 2021).

    1/2 tells nothing of the order. Near 1, sorting attributes by variance finds it, and so does any learner by least
    squares on these raw values, whatever it seems to have learned. Standardising takes that away.
    """
    return sortability(values.var(axis=0), adjacency)


def r2_sortability(values: Values, adjacency: Support) -> float:
    """The share of directed paths along which the R2 of an attribute given all others rises (Reisach et al., 2023).

    As varsortability, but scale-free: standardising does not take it away.
    """
    return sortability(explained(values), adjacency)


def explained(values: Values) -> npt.NDArray[np.float64]:
    """[d], the share of each attribute's variance that a linear regression on all others explains, rows [n, d]."""
    correlation = np.corrcoef(values, rowvar=False).reshape(values.shape[1], values.shape[1])
    shares = np.zeros(len(correlation))
    for j in range(len(correlation)):
        others = np.delete(np.arange(len(correlation)), j)
        if len(others):
            weights = np.linalg.lstsq(correlation[np.ix_(others, others)], correlation[others, j], rcond=1e-10)[0]
            shares[j] = correlation[others, j] @ weights
    return shares


def sortability(criterion: npt.NDArray[np.float64], adjacency: Support) -> float:
    """The share of directed paths along which a criterion [d] rises; a tie counts half, and without paths it is 1/2.

    For each length, a pair counts once if any path of that length joins it.

    >>> chain = np.array([[False, True], [False, False]])
    >>> sortability(np.array([1.0, 2.0]), chain), sortability(np.array([2.0, 1.0]), chain)
    (1.0, 0.0)
    """
    difference = criterion[None, :] - criterion[:, None]
    tied = np.abs(difference) <= TIE * np.maximum(np.abs(criterion)[None, :], np.abs(criterion)[:, None])
    rises = np.where(tied, 0.5, difference > 0)
    paths, total, rising = adjacency.copy(), 0, 0.0
    while paths.any():
        total += int(paths.sum())
        rising += float(rises[paths].sum())
        paths = paths @ adjacency
    return rising / total if total else 0.5
