"""The post-nonlinear SCM finds the curves and the noise of data that were made so."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph
from ccigkit.causal.model import CausalModel
from ccigkit.causal.scm.base import SCM
from ccigkit.causal.scm.linear import LinearSCM
from ccigkit.causal.scm.nonlinear import NonlinearSCM
from ccigkit.causal.scm.postnonlinear import PostNonlinearSCM
from ccigkit.causal.structure import Structure


def curved(n: int, seed: int = 0, do: float | None = None) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """b = sinh(v) / 2 with v = 1.2 a + noise: its spread grows with its cause, as no additive noise has it."""
    random = np.random.default_rng(seed)
    first, second = random.normal(size=(2, n))
    a = first if do is None else np.full(n, do)
    return np.stack([a, np.sinh(1.2 * a + 0.5 * second) / 2], axis=1)


def test_counterfactuals_follow_the_curve_and_other_mechanisms_do_not() -> None:
    rows, test, truth = curved(5000), curved(1000, 1), curved(1000, 1, do=1.0)
    table = Table.of({"a": rows[:, 0].tolist(), "b": rows[:, 1].tolist()})
    graph = CausalGraph.from_edges(("a", "b"), ["a -> b"])

    def error(scm: SCM) -> float:
        model = CausalModel(table.attributes, Structure(graph), scm).fit(table)
        answer = model.counterfactual(torch.as_tensor(test), {"a": 1.0})
        return float(np.median(np.abs(answer[:, 1].numpy() - truth[:, 1])) / np.std(truth[:, 1]))

    assert error(PostNonlinearSCM(2)) < 0.05
    assert error(NonlinearSCM(2)) > 0.2
    assert error(LinearSCM(2)) > 0.2


def test_a_straight_line_stays_one() -> None:
    random = np.random.default_rng(0)
    a = random.normal(size=4000)
    table = Table.of({"a": a.tolist(), "b": (a + random.normal(size=4000)).tolist()})
    model = CausalModel(
        table.attributes, Structure(CausalGraph.from_edges(("a", "b"), ["a -> b"])), PostNonlinearSCM(2)
    ).fit(table)
    after = model.counterfactual(torch.tensor([[0.0, 0.3]]), {"a": 1.0})
    assert float(after[0, 1]) == pytest.approx(1.3, abs=0.1)
