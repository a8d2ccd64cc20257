"""DirectLiNGAM as a structure learner for ccigkit: a third-party plugin, complete."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import ccigkit
from ccigkit.attributes import Table
from ccigkit.errors import ConfigError, DataError
from ccigkit.graph import CausalGraph, Knowledge, acyclic, reachability
from ccigkit.interfaces import StructureLearner


class DirectLiNGAM(StructureLearner):
    """DirectLiNGAM of causal-learn: a linear model whose noise is not normal, which is what gives the arrows away.

    Shimizu et al. (2011). Without any knowledge it finds directions that covariances alone leave open. Where the noise
    is close to normal, or effects are far from linear, its order is a guess like any other.

    Args:
        threshold: standardised weights below this are no edges.
    """

    name = "lingam"

    def __init__(self, names: tuple[str, ...], *, threshold: float = 0.1) -> None:
        if threshold < 0:
            raise ConfigError(f"structure.threshold={threshold:g} must be at least 0")
        self.names, self.threshold = names, threshold

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        """The graph of the table's latents, which have unit spread, so that one threshold fits all."""
        from causallearn.search.FCMBased.lingam import DirectLiNGAM as Lingam  # here, so that listing plugins is quick

        refuse_singular(table)
        names, required, allowed = table.names, knowledge.required_edges(table.names), knowledge.allowed(table.names)
        found = Lingam(prior_knowledge=prior(allowed, required)).fit(table.latents)
        weights = np.asarray(found.adjacency_matrix_, dtype=np.float64).T  # its rows are effects, ours are causes
        kept = required | (allowed & (np.abs(weights) >= self.threshold) & (weights != 0))
        weights = np.where(required & (weights == 0), 1.0, weights)  # required, though the data see nothing of it
        dag = acyclic(weights * kept, required)
        return CausalGraph(names, weights * dag, self._notes(table))

    def _notes(self, table: Table) -> tuple[str, ...]:
        hard = [
            attribute.name
            for attribute, column in zip(table.attributes, table.values.T, strict=True)
            if attribute.kind != "continuous" and (column == np.round(column)).all()
        ]
        return (f"LiNGAM is made for continuous attributes; these are hard labels: {', '.join(hard)}",) if hard else ()


def prior(allowed: npt.NDArray[np.bool_], required: npt.NDArray[np.bool_]) -> npt.NDArray[np.int_]:
    """What is known beforehand [d, d], as causal-learn's DirectLiNGAM wants it.

    It speaks of paths: 1 where there is one, 0 where there can be none, -1 where nobody knows. Its code reads rows as
    effects, though its documentation says causes. A forbidden edge forbids no path as long as a detour is allowed.
    """
    known = np.full(allowed.shape, -1)
    known[~reachability(allowed)] = 0
    known[reachability(required)] = 1
    np.fill_diagonal(known, -1)
    return known.T


def refuse_singular(table: Table) -> None:
    """Nothing, where every attribute has a part of its own, which is the noise that LiNGAM looks at.

    Raises:
        DataError: where there are too few rows, or some attribute follows exactly from the others.
    """
    rows, size = table.values.shape
    if rows <= size:
        raise DataError(f"lingam needs more rows than attributes, got {rows} rows and {size} attributes")
    least, directions = np.linalg.eigh(np.cov(table.latents, rowvar=False).reshape(size, size))
    if least[0] < 1e-9:
        involved = [name for name, part in zip(table.names, np.abs(directions[:, 0]), strict=True) if part > 1e-4]
        raise DataError(f"{' and '.join(involved)} follow exactly from each other; leave one of them out")


@ccigkit.hookimpl
def ccigkit_components() -> list[type]:
    """What this plugin brings."""
    return [DirectLiNGAM]
