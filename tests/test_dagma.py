"""DAGMA: its laws, its log-determinant, and what it finds where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ccigkit.graph import Knowledge
from ccigkit.structure.continuous.equations import Linear, penalised
from ccigkit.structure.learners.dagma import Dagma, cyclicity
from ccigkit.testing import check
from tests.descent import assert_gradient, assert_rows_and_columns_may_come_in_any_order, random_table
from tests.simulate import FACE_TIERS, PENDULUM_TIERS, faces, pendulum


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_the_contract_of_a_structure_learner_holds(model: str) -> None:
    check(Dagma, model=model)


def test_rows_and_columns_may_come_in_any_order() -> None:
    assert_rows_and_columns_may_come_in_any_order(Dagma, random_table("continuous", 6, 400, 0))
    assert_rows_and_columns_may_come_in_any_order(Dagma, random_table("binary", 6, 800, 0))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_finds_pendulum_and_faces_given_their_tiers(seed: int) -> None:
    for table, known in ((pendulum(5000, seed), PENDULUM_TIERS), (faces(5000, seed), FACE_TIERS)):
        assert Dagma(table.names).learn(table, known).shd(table.truth) == 0


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_the_order_shows_in_raw_variances_and_a_note_says_so(seed: int) -> None:
    table = random_table("continuous", 15, 1000, seed, raw=True)
    graph = Dagma(table.names, l1=0.05, threshold=0.3, standardise=False).learn(table, Knowledge())
    assert graph.shd(table.truth) <= 2
    assert "learned on raw values" in graph.notes[0]


def test_labels_are_learned_by_likelihood() -> None:
    table = random_table("binary", 8, 4000, 0)
    graph = Dagma(table.names).learn(table, Knowledge())
    found, true = (g.adjacency | g.adjacency.T for g in (graph, table.truth))
    assert (found != true).sum() <= 4  # of 56: twice each pair that is wrong


def test_the_gradient_is_that_of_the_barrier() -> None:
    rows = np.random.default_rng(0).normal(size=(30, 4))
    equations = Linear(np.cov(rows, rowvar=False), ~np.eye(4, dtype=bool), np.zeros((4, 4), dtype=bool))
    at = 0.2 * np.random.default_rng(1).normal(size=12)
    assert_gradient(penalised(equations, lambda squares: cyclicity(squares, 1.0), 10.0), at)


def test_h_is_zero_without_a_cycle_and_infinite_out_of_its_domain() -> None:
    assert cyclicity(np.triu(np.full((5, 5), 9.0), 1), 0.7)[0] == pytest.approx(0, abs=1e-12)
    two = np.array([[0, 0.5], [0.5, 0]])
    assert cyclicity(two, 1.0)[0] == pytest.approx(-np.log(1 - 0.25))
    assert cyclicity(2 * two, 0.9)[0] == np.inf
    twice = np.kron(np.eye(2), 3 * two)
    assert np.linalg.det(np.eye(4) - twice) > 0  # which alone is not enough
    assert cyclicity(twice, 1.0)[0] == np.inf


def test_in_joint_training_any_cycle_has_a_finite_price_and_a_gradient() -> None:
    learner = Dagma(("a", "b"))
    for size in (0.1, 1.0, 10.0):
        with torch.no_grad():
            learner.weights.copy_(torch.tensor([[0.0, size], [size, 0.0]]))
        learner.zero_grad()
        learner.tighten()
        penalty = learner.loss(torch.randn(8, 2))["acyclicity"]
        penalty.backward()
        assert penalty > 0
        assert torch.isfinite(learner.weights.grad).all()
        assert learner.weights.grad[0, 1] > 0
    with torch.no_grad():
        learner.weights[1, 0] = 0
    assert learner.cyclicity(learner.adjacency()) == 0
