"""GOLEM: its laws, its likelihoods, and what it finds where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ccigkit.graph import Knowledge
from ccigkit.structure.continuous.equations import penalised
from ccigkit.structure.learners.golem import EqualVariances, Golem, Likelihood, UnequalVariances
from ccigkit.structure.learners.notears import cyclicity
from ccigkit.testing import check
from tests.descent import assert_gradient, assert_rows_and_columns_may_come_in_any_order, random_table

LIKELIHOODS = pytest.mark.parametrize("likelihood", ["ev", "nv"])


@LIKELIHOODS
def test_the_contract_of_a_structure_learner_holds(likelihood: str) -> None:
    check(Golem, likelihood=likelihood)


@LIKELIHOODS
def test_rows_and_columns_may_come_in_any_order(likelihood: str) -> None:
    table = random_table("continuous", 6, 400, 0)
    assert_rows_and_columns_may_come_in_any_order(lambda names: Golem(names, likelihood=likelihood), table)


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_the_order_shows_in_raw_variances_and_a_note_says_so(seed: int) -> None:
    table = random_table("continuous", 15, 1000, seed, raw=True)
    learner = Golem(table.names, likelihood="ev", l1=0.02, threshold=0.3, standardise=False)
    graph = learner.learn(table, Knowledge())
    assert graph.shd(table.truth) <= 2
    assert "learned on raw values" in graph.notes[0]


@pytest.mark.parametrize("kind", [EqualVariances, UnequalVariances])
def test_the_gradient_is_that_of_the_likelihood(kind: type[Likelihood]) -> None:
    rows = np.random.default_rng(0).normal(size=(30, 4)) * [1, 2, 3, 4]
    equations = kind(np.cov(rows, rowvar=False), ~np.eye(4, dtype=bool), np.zeros((4, 4), dtype=bool))
    assert_gradient(penalised(equations, cyclicity, 5.0), 0.4 * np.random.default_rng(1).normal(size=12))


@pytest.mark.parametrize(("likelihood", "kind"), [("ev", EqualVariances), ("nv", UnequalVariances)])
def test_joint_training_descends_the_same_likelihood(likelihood: str, kind: type[Likelihood]) -> None:
    rows = np.random.default_rng(0).normal(size=(30, 3))
    moments, off = rows.T @ rows / len(rows), ~np.eye(3, dtype=bool)
    weights = off * np.random.default_rng(1).normal(size=(3, 3))
    expected, _ = kind(moments, off, ~off & off).loss(weights[off])
    ours = Golem(("a", "b", "c"), likelihood=likelihood).reconstruction(torch.tensor(rows), torch.tensor(weights))
    assert float(ours) == pytest.approx(expected)
