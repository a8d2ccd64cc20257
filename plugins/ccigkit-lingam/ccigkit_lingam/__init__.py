"""DirectLiNGAM as a structure learner for ccigkit: a third-party plugin, complete."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

import ccigkit
from ccigkit.attributes import Table
from ccigkit.graph import CausalGraph, Knowledge, reachability
from ccigkit.interfaces import (
    StructureLearner,
    Weight,
    covariance,
    hard_labels,
    project,
    refuse_collinear,
    refuse_large,
    seeds_kept,
)

ccigkit_api = 1
PARTS = 6, 12  # attributes whose time tells how long all will take


class DirectLiNGAM(StructureLearner):
    """DirectLiNGAM of causal-learn: a linear model whose noise is not normal, which is what gives the arrows away.

    Shimizu et al. (2011). Without any knowledge it finds directions that covariances alone leave open. Where the noise
    is close to normal, or effects are far from linear, its order is a guess like any other.

    Args:
        threshold: standardised weights below this are no edges.
        limit: seconds beyond which it refuses to start, by what it takes for some of the attributes; 0 for no limit.
    """

    name = "lingam"

    def __init__(self, names: tuple[str, ...], *, threshold: Weight = 0.1, limit: Weight = 120.0) -> None:
        self.names, self.threshold, self.limit = names, threshold, limit

    @seeds_kept()
    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        """The graph of the table's latents, which have unit spread, so that one threshold fits all."""
        from causallearn.search.FCMBased.lingam import DirectLiNGAM as Lingam  # here, so that listing plugins is quick

        refuse_collinear(covariance(table), table.names)
        names, required, allowed = table.names, knowledge.required_edges(table.names), knowledge.allowed(table.names)
        rows, known = table.latents, prior(allowed, required)

        def fit(some: npt.NDArray[np.int64]) -> Any:
            return Lingam(prior_knowledge=known[np.ix_(some, some)]).fit(rows[:, some])

        refuse_large(self.name, fit, len(names), self.limit, PARTS)
        found = fit(np.arange(len(names)))
        weights = np.asarray(found.adjacency_matrix_, dtype=np.float64).T  # its rows are effects, ours are causes
        strong = allowed & (np.abs(weights) >= self.threshold)
        graph = project(np.where(strong | required, weights, 0.0), required, names)
        if labels := hard_labels(table):
            note = f"LiNGAM is made for continuous attributes; these are hard labels: {', '.join(labels)}"
            graph = replace(graph, notes=(note, *graph.notes))
        return graph


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


@ccigkit.hookimpl
def ccigkit_components() -> list[type]:
    """What this plugin brings."""
    return [DirectLiNGAM]
