"""NOTEARS, the equations that it shares with DAGMA, and the minimiser under both."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from ccigkit.attributes import Attribute, Table
from ccigkit.errors import DataError
from ccigkit.graph import Knowledge
from ccigkit.structure.continuous.equations import MLP, Equations, Linear, Logistic, penalised
from ccigkit.structure.continuous.owlqn import minimise
from ccigkit.structure.learners.notears import Notears, cyclicity
from ccigkit.structure.tables import evenly, rounded
from ccigkit.testing import check
from tests.descent import assert_gradient, assert_rows_and_columns_may_come_in_any_order, random_table
from tests.simulate import linear

MODELS = pytest.mark.parametrize("model", ["linear", "mlp"])


def curved(n: int = 600, seed: int = 0) -> Table:
    """A cause with a wave for an effect, of which a straight line sees next to nothing, and that effect's effect."""
    x, u, v = np.random.default_rng(seed).normal(size=(3, n))
    y = np.cos(2 * x) + 0.1 * x + 0.3 * u
    z = np.tanh(2 * y) + v / 3
    return Table.fit([Attribute(name, "continuous") for name in "xyz"], np.stack([x, y, z], axis=1))


def some_equations() -> list[Equations]:
    random = np.random.default_rng(0)
    allowed, required = ~np.eye(4, dtype=bool), np.zeros((4, 4), dtype=bool)
    allowed[0, 1] = False
    required[1, 2] = True
    rows = random.normal(size=(50, 4))
    labels = (rows > 0).astype(float)
    return [
        Linear(np.cov(rows, rowvar=False), allowed, required),
        Logistic(labels, np.full(50, 0.02), labels * 2, allowed, required),
        MLP(rows, allowed, required, 3, 0),
    ]


@MODELS
def test_the_contract_of_a_structure_learner_holds(model: str) -> None:
    check(Notears, model=model)


@MODELS
def test_rows_and_columns_may_come_in_any_order(model: str) -> None:
    table = random_table("continuous", 6, 400, 0)
    assert_rows_and_columns_may_come_in_any_order(lambda names: Notears(names, model=model), table)


def test_rows_and_columns_of_labels_may_come_in_any_order() -> None:
    assert_rows_and_columns_may_come_in_any_order(Notears, random_table("binary", 6, 800, 0))


def test_the_order_shows_in_raw_variances_and_a_note_says_so() -> None:
    table = random_table("continuous", 10, 1000, 4, raw=True)
    graph = Notears(table.names, l1=0.1, threshold=0.3, standardise=False).learn(table, Knowledge())
    assert graph.shd(table.truth) <= 1
    assert "learned on raw values" in graph.notes[0]
    assert not any("raw" in note for note in Notears(table.names).learn(table, Knowledge()).notes)


def test_units_change_nothing_but_on_raw_values() -> None:
    table = linear(1000)
    scaled = Table.fit(table.attributes, table.values * [1, 10, 0.1, 1000, 3, 1])
    assert Notears(table.names).learn(scaled, Knowledge()).edges == Notears(table.names).learn(table, Knowledge()).edges


def test_labels_are_learned_by_likelihood_unless_told_otherwise() -> None:
    table = random_table("binary", 8, 4000, 0)
    graph = Notears(table.names).learn(table, Knowledge())
    found, true = (g.adjacency | g.adjacency.T for g in (graph, table.truth))
    assert (found != true).sum() <= 4  # of 56: twice each pair that is wrong
    assert graph.notes[0] == "model logistic: all attributes are labels 0 and 1"


def test_grades_have_no_logistic_likelihood_here() -> None:
    with pytest.raises(DataError, match=r"wants labels 0 and 1, but . has other values; use structure\.model=linear"):
        Notears(tuple("abcdef"), model="logistic").learn(linear(100), Knowledge())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_networks_see_what_straight_lines_do_not(seed: int) -> None:
    table, known = curved(seed=seed), Knowledge(tiers=(("x",), ("y",), ("z",)))
    assert Notears(table.names, model="linear").learn(table, known).edges == [("y", "z")]
    learner = Notears(table.names, model="mlp", l1=0.005)
    assert learner.learn(table, known).edges == [("x", "y"), ("y", "z")]


def test_a_large_table_is_looked_at_in_part_by_networks_alone() -> None:
    part = Notears(tuple("xyz"), model="mlp", rows=100).learn(curved(), Knowledge())
    assert "looked at 100 of 600 rows; structure.rows sets how many" in part.notes
    assert Notears(tuple("xyz"), model="linear", rows=100).learn(curved(), Knowledge()).notes == ()


@pytest.mark.parametrize("model", ["linear", "logistic", "mlp"])
def test_one_attribute_has_no_edges(model: str) -> None:
    table = Table.fit([Attribute("a", "binary")], np.arange(8)[:, None] % 2)
    assert Notears(("a",), model=model).learn(table, Knowledge()).edges == []


@pytest.mark.parametrize("model", ["logistic", "mlp"])
def test_joint_training_begins_at_the_learned_graph_with_linear_weights(model: str) -> None:
    table = random_table("binary", 5, 1000, 0)
    learner = Notears(table.names, model=model)
    graph = learner.learn(table, Knowledge())
    assert learner.graph().edges == graph.edges
    weights, strengths = learner.adjacency().detach().numpy(), graph.strengths
    large = np.abs(strengths) > learner.threshold
    np.testing.assert_allclose(weights[large], strengths[large], rtol=1e-5)
    assert torch.isfinite(learner.loss(torch.as_tensor(table.latents).float())["reconstruction"])


# --- equations and penalties ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("equations", some_equations(), ids=lambda e: type(e).__name__)
def test_the_gradient_is_that_of_the_penalised_loss(equations: Equations) -> None:
    at = equations.start + 0.3 * np.random.default_rng(1).normal(size=len(equations.start))
    assert_gradient(equations.loss, at)
    assert_gradient(penalised(equations, cyclicity, 0.7, 3.0), at)


@pytest.mark.parametrize("equations", some_equations(), ids=lambda e: type(e).__name__)
def test_what_is_not_allowed_has_no_weight_and_what_is_needed_no_price(equations: Equations) -> None:
    at = equations.start + 1.0
    assert ((equations.weights(at) != 0) == (~np.eye(4, dtype=bool) & ~np.eye(4, k=1, dtype=bool) | required())).all()
    moved = equations.start + equations.penalty
    assert equations.weights(moved)[1, 2] == equations.weights(equations.start)[1, 2]


def required() -> np.ndarray:
    pairs = np.zeros((4, 4), dtype=bool)
    pairs[[1, 2], [2, 3]] = True
    return pairs


@pytest.mark.parametrize("size", [0.01, 1.0, 10.0])
def test_the_exponential_is_scipys(size: float) -> None:
    squares = np.random.default_rng(0).uniform(0, size, (7, 7))
    h, slopes = cyclicity(squares)
    np.testing.assert_allclose(slopes.T, expm(squares), rtol=1e-7)
    assert h == pytest.approx(np.trace(expm(squares)) - 7, rel=1e-7)


def test_without_a_cycle_h_is_zero_and_beyond_floats_infinite() -> None:
    assert cyclicity(np.triu(np.full((30, 30), 9.0), 1))[0] == pytest.approx(0, abs=1e-9)
    assert cyclicity(np.full((3, 3), 1e9))[0] == np.inf


# --- the minimiser ----------------------------------------------------------------------------------------------------


def test_the_minimiser_solves_the_lasso() -> None:
    random = np.random.default_rng(0)
    design, penalty = random.normal(size=(40, 6)), np.array([2.0, 2, 0, 2, 20, 2])
    target = design @ [1.0, -2, 0.5, 0, 0.1, 0] + 0.1 * random.normal(size=40)

    def smooth(x: np.ndarray) -> tuple[float, np.ndarray]:
        error = design @ x - target
        return 0.5 * error @ error, design.T @ error

    found = minimise(smooth, np.zeros(6), penalty, tolerance=1e-12, flat=1e-8)
    slope = smooth(found)[1]
    np.testing.assert_allclose(slope[found != 0], (-penalty * np.sign(found))[found != 0], atol=1e-6)
    assert (np.abs(slope) <= penalty + 1e-6).all()
    assert found[4] == 0  # exactly


def test_the_minimiser_stays_in_the_domain() -> None:
    def smooth(x: np.ndarray) -> tuple[float, np.ndarray]:
        return (x[0] - np.log(x[0]), 1 - 1 / x) if x[0] > 0 else (np.inf, x)

    assert minimise(smooth, np.array([20.0]), np.zeros(1), 1e-12, 1e-8)[0] == pytest.approx(1, abs=1e-4)


def test_rows_are_chosen_whatever_their_order() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_array_equal(evenly(rows, 7), evenly(rows[::-1], 7))
    assert len(evenly(rows, 7)) == 7
    assert len(evenly(rows, 99)) == 50


def test_rounded_numbers_forget_their_last_digits() -> None:
    values = np.random.default_rng(0).normal(size=100) * 1e6
    np.testing.assert_array_equal(rounded(values), rounded(values * (1 + 1e-16)))
    np.testing.assert_allclose(rounded(values), values, atol=1e-4)
