"""Structure learners: the laws that hold for all of them, and what each finds where the truth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import torch

from ccigkit.attributes import Attribute, Table
from ccigkit.causal.strengths import fit_strengths
from ccigkit.component.registry import registry
from ccigkit.errors import DataError, GraphError
from ccigkit.graph import CausalGraph, Knowledge
from ccigkit.interfaces import StructureLearner
from ccigkit.structure.continuous.weighted import WeightedLearner, cyclicity
from ccigkit.structure.learners.gae import GraphAutoencoder
from ccigkit.structure.learners.known import Known
from ccigkit.structure.learners.notears import Notears
from ccigkit.structure.tables import by_skewness, project
from tests.simulate import FACE_TIERS, PENDULUM_TIERS, faces, linear, pendulum

torch.set_num_threads(1)

Make = Callable[[tuple[str, ...]], StructureLearner]
JOINT: dict[str, Callable[[tuple[str, ...]], WeightedLearner]] = {
    "notears": Notears,
    "gae": lambda names: GraphAutoencoder(names, rounds=6, steps=40, rows=400),
    "gae, as published": lambda names: GraphAutoencoder(names, rounds=6, steps=40, rows=400, faithful=True),
}
INSTALLED = {learner.name: learner for learner in registry() if issubclass(learner, StructureLearner)}
LEARNERS: dict[str, Make] = {**{name: INSTALLED[name] for name in INSTALLED if name != "known"}, **JOINT}
every_learner = pytest.mark.parametrize("make", LEARNERS.values(), ids=LEARNERS)
every_joint_learner = pytest.mark.parametrize("make", JOINT.values(), ids=JOINT)


def table_of(columns: dict[str, np.ndarray]) -> Table:
    return Table.fit([Attribute(name, "continuous") for name in columns], np.stack(list(columns.values()), axis=1))


def labels(kinds: list[str], n: int = 600) -> Table:
    """Attributes a -> b -> c -> d of kinds that alternate, each a coarse reading of a linear chain."""
    random, columns, before = np.random.default_rng(0), [], np.zeros(n)
    for _, kind in zip("abcd", cycle(kinds), strict=False):
        before = before + random.normal(size=n)
        read = {"binary": before > 0, "categorical": np.digitize(before, [-1, 0.5, 2]), "continuous": before}
        columns.append(read[kind].astype(float))
    return Table.fit(
        [Attribute(name, kind) for name, kind in zip("abcd", cycle(kinds), strict=False)], np.stack(columns, axis=1)
    )


# --- laws -------------------------------------------------------------------------------------------------------------


@every_learner
@pytest.mark.parametrize(
    "knowledge",
    [
        Knowledge(required=frozenset({("f", "a")})),
        Knowledge(required=frozenset({("e", "d"), ("a", "e")}), forbidden=frozenset({("a", "b"), ("b", "a")})),
        Knowledge(tiers=(("f", "e"), ("d",), ("a", "b"))),
        Knowledge(roots=frozenset({"d", "c"}), leaves=frozenset({"a"})),
    ],
    ids=["required", "required and forbidden", "tiers", "roots and leaves"],
)
def test_a_learner_honours_what_is_known(make: Make, knowledge: Knowledge) -> None:
    table = linear(500)
    graph = make(table.names).learn(table, knowledge)  # a CausalGraph has no cycles, or is not one
    assert graph.names == table.names
    assert not (graph.adjacency & ~knowledge.allowed(table.names)).any()
    assert (graph.adjacency >= knowledge.required_edges(table.names)).all()


@every_learner
def test_the_same_seed_gives_the_same_graph_and_leaves_the_global_seed_alone(make: Make) -> None:
    table, learner = linear(500), make(linear(500).names)
    torch.manual_seed(1)
    first, then = learner.learn(table, Knowledge()), torch.rand(1)
    torch.manual_seed(2)
    assert learner.learn(table, Knowledge()) == first == make(table.names).learn(table, Knowledge())
    torch.manual_seed(1)
    assert torch.rand(1) == then


@every_learner
@pytest.mark.parametrize("order", ["fedcba", "cafbed"])
def test_the_order_of_the_columns_changes_nothing(make: Make, order: str) -> None:
    table = linear(500)
    graph = make(table.names).learn(table, Knowledge())
    other = make(tuple(order)).learn(table.reordered(list(order)), Knowledge())
    assert set(other.edges) == set(graph.edges)
    np.testing.assert_allclose(other.reordered(graph.names).strengths, graph.strengths, atol=1e-9)


@every_learner
def test_the_names_of_the_columns_change_nothing(make: Make) -> None:
    table = linear(500)
    renamed = Table.fit([Attribute(name, "continuous") for name in "zwxyuv"], table.values)
    graph, other = (make(t.names).learn(t, Knowledge()) for t in (table, renamed))
    np.testing.assert_array_equal(other.strengths, graph.strengths)


@every_learner
def test_too_few_rows_are_refused(make: Make) -> None:
    table = linear(6)
    with pytest.raises(DataError, match="more rows than attributes, got 6"):
        make(table.names).learn(table, Knowledge())


def with_a_copy() -> Table:
    x, y, noise = np.random.default_rng(0).normal(size=(3, 300))
    return table_of({"x": x, "copy": 2 * x + 1, "y": y, "sum": x + y + noise})


@every_joint_learner
def test_collinear_columns_give_a_graph(make: Make) -> None:
    graph = make(with_a_copy().names).learn(with_a_copy(), Knowledge())
    assert np.isfinite(graph.strengths).all()


@pytest.mark.parametrize("name", ["auto", "boss", "pc", "fci", "ges", "grasp"])
def test_collinear_columns_are_refused_where_causes_are_told_apart_by_regression(name: str) -> None:
    with pytest.raises(DataError, match=r"columns (x and copy|copy and x) are collinear"):
        INSTALLED[name](with_a_copy().names).learn(with_a_copy(), Knowledge())


@every_learner
@pytest.mark.parametrize("names", ["a", "ab"])
def test_a_table_may_have_one_attribute_or_two(make: Make, names: str) -> None:
    table = replace(linear(300), truth=None).reordered(list(names))
    graph = make(table.names).learn(table, Knowledge())
    assert len(graph.edges) < len(names)


@every_learner
@pytest.mark.parametrize("kinds", ["binary", "categorical", "binary categorical", "continuous categorical binary"])
def test_every_kind_of_attribute_gives_a_graph(make: Make, kinds: str) -> None:
    table = labels(kinds.split())
    graph = make(table.names).learn(table, Knowledge(forbidden=frozenset({("c", "b")})))
    assert np.isfinite(graph.strengths).all()
    assert ("c", "b") not in graph.edges


@every_learner
def test_contradictory_knowledge_is_refused(make: Make) -> None:
    knowledge = Knowledge(required=frozenset({("a", "b")}), tiers=(("b",), ("a",)))
    with pytest.raises(GraphError, match="both required and forbidden"):
        make(tuple("abcdef")).learn(linear(100), knowledge)


@every_learner
def test_a_learner_says_nothing_on_the_terminal(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    make(tuple("abcdef")).learn(linear(200), Knowledge(tiers=(("a",), ("b",))))
    out, err = capfd.readouterr()
    assert not out
    assert not err


@pytest.mark.parametrize("name", ["auto", "boss", "pc", "fci", "ges", "grasp", "notears"])
def test_independent_attributes_have_no_edges(name: str) -> None:
    noise = np.random.default_rng(3).normal(size=(1000, 3))
    table = table_of(dict(zip("xyz", noise.T, strict=True)))
    assert INSTALLED[name](table.names).learn(table, Knowledge()).edges == []


# --- known truths -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("through", [False, True])
def test_notears_finds_the_pendulum_given_its_tiers(seed: int, through: bool) -> None:
    table = pendulum(5000, seed, through)
    assert Notears(table.names).learn(table, PENDULUM_TIERS).shd(table.truth) == 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_notears_finds_the_faces_given_their_tiers(seed: int) -> None:
    table = faces(5000, seed)
    graph = Notears(table.names).learn(table, FACE_TIERS)
    assert graph.shd(table.truth) == 0
    assert (np.sign(graph.strengths) == np.sign(table.truth.strengths)).all()


def test_the_graph_autoencoder_finds_the_pendulum_given_its_tiers() -> None:
    table = pendulum(2000)
    learner = GraphAutoencoder(table.names, rows=1000)
    assert learner.learn(table, PENDULUM_TIERS).shd(table.truth) == 0
    assert learner.adjacency().abs().max() > 0.3  # its scale has not collapsed


# --- joint learners ---------------------------------------------------------------------------------------------------


@every_joint_learner
def test_learning_leaves_the_parameters_at_the_graph(make: Callable[[tuple[str, ...]], WeightedLearner]) -> None:
    table = linear(500).reordered(list("fbdace"))
    learner = make(table.names)
    graph = learner.learn(table, Knowledge(required=frozenset({("f", "a")})))
    assert set(learner.graph().edges) == set(graph.edges)
    assert ((learner.adjacency() != 0).numpy() == graph.adjacency).all()


@every_joint_learner
def test_a_joint_learner_descends_its_terms_and_resumes_exactly(
    make: Callable[[tuple[str, ...]], WeightedLearner],
) -> None:
    table = linear(500)
    latents = torch.as_tensor(table.latents).float()
    learner = make(table.names)
    learner.learn(table, Knowledge(tiers=(("a",), ("b",))))

    def step(learner: WeightedLearner) -> torch.Tensor:
        terms = learner.loss(latents)
        assert set(terms) == {"reconstruction", "sparsity", "acyclicity"}
        learner.zero_grad()
        sum(terms.values()).backward()
        with torch.no_grad():
            for parameter in learner.parameters():
                parameter -= 0.01 * parameter.grad
        learner.tighten()
        return learner.adjacency().detach().clone()

    step(learner)
    again = make(table.names)
    again.load_state_dict({key: value.clone() for key, value in learner.state_dict().items()})
    assert torch.equal(step(learner), step(again))
    assert torch.equal(step(learner), step(again))
    assert learner.adjacency()[1, 0] == 0  # the tiers are in the state too
    assert learner.adjacency().diagonal().eq(0).all()


def test_a_cycle_costs_more_each_round() -> None:
    learner = Notears(("a", "b"))
    with torch.no_grad():
        learner.weights.copy_(torch.tensor([[0.0, 0.8], [0.7, 0.0]]))
    prices = []
    for _ in range(4):
        prices.append(float(learner.loss(torch.randn(8, 2))["acyclicity"].detach()))
        learner.tighten()
    assert prices == sorted(prices)
    assert prices[3] > 10 * prices[0] > 0
    assert learner.graph().edges == [("a", "b")]
    assert learner.graph().notes == ("cut because they close a cycle of stronger edges: b -> a",)


def test_the_price_of_cycles_has_the_gradient_of_its_formula() -> None:
    weights = torch.tensor([[0.0, 0.5], [0.4, 0.0]], requires_grad=True)
    h = cyclicity(weights)
    assert h.item() == pytest.approx(2 * np.cosh(0.2) - 2, rel=1e-6)  # eigenvalues of A∘A: +-0.2
    h.backward()
    expected = 2 * np.sinh(0.2) * 0.4  # dh/da = 2 sinh(ab) b
    assert weights.grad[0, 1].item() == pytest.approx(expected, rel=1e-5)


# --- what they share --------------------------------------------------------------------------------------------------


def test_strengths_are_the_regression_weights_in_the_support() -> None:
    table = linear(2000)
    strengths = fit_strengths(table, table.truth.adjacency)
    latents = table.latents
    d, causes = 3, [1, 2]
    expected = np.linalg.lstsq(latents[:, causes], latents[:, d], rcond=None)[0]
    np.testing.assert_allclose(strengths[causes, d], expected, atol=1e-12)
    assert ((strengths != 0) == table.truth.adjacency).all()


def test_an_edge_without_effect_stays_an_edge() -> None:
    table = table_of({"x": np.array([1.0, -1, 1, -1]), "y": np.array([1.0, 1, -1, -1])})
    assert fit_strengths(table, np.array([[False, True], [False, False]]))[0, 1] != 0


def test_the_order_by_skewness_depends_on_content_alone() -> None:
    table = linear(300)
    ordered = by_skewness(table)
    np.testing.assert_array_equal(by_skewness(table.reordered(list("dbfeca"))).values, ordered.values)


def test_a_projection_cuts_the_weakest_edge_but_never_a_needed_one() -> None:
    weights = np.array([[0, 0.5, 0], [0, 0, 0.4], [0.3, 0, 0]])
    required = np.zeros((3, 3), dtype=bool)
    assert project(weights, required, ("a", "b", "c")).edges == [("a", "b"), ("b", "c")]
    required[2, 0] = True
    graph = project(weights, required, ("a", "b", "c"))
    assert graph.edges == [("a", "b"), ("c", "a")]
    assert graph.notes == ("cut because they close a cycle of stronger edges: b -> c",)


# --- the known graph --------------------------------------------------------------------------------------------------


def test_the_known_graph_is_the_truth_in_the_order_of_the_table() -> None:
    table = linear(500).reordered(list("fedcba"))
    graph = Known(table.names).learn(table, Knowledge())
    assert graph.names == table.names
    assert graph.shd(table.truth) == 0
    np.testing.assert_array_equal(graph.strengths, fit_strengths(table, graph.adjacency))


def test_the_known_graph_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "graph.toml"
    path.write_text(CausalGraph.from_edges(list("fedcba"), ["f -> a"]).to_toml())
    graph = Known(tuple("abcdef"), graph=str(path)).learn(linear(100), Knowledge())
    assert graph.edges == [("f", "a")]
    with pytest.raises(GraphError, match="cannot read the graph"):
        Known(tuple("abcdef"), graph=str(tmp_path / "none.toml")).learn(linear(100), Knowledge())


def test_no_known_graph_is_one_clear_error() -> None:
    table = table_of({"x": np.arange(9.0), "y": np.arange(9.0) ** 2})
    with pytest.raises(GraphError, match=r"set structure\.graph to a TOML file"):
        Known(table.names).learn(table, Knowledge())


@pytest.mark.parametrize(
    ("knowledge", "message"),
    [
        (Knowledge(required=frozenset({("a", "f")})), "lacks what the background knowledge requires: a -> f"),
        (Knowledge(forbidden=frozenset({("a", "b")})), "has what the background knowledge forbids: a -> b"),
        (Knowledge(tiers=(("b",), ("a",))), "forbids: a -> b"),
    ],
)
def test_a_known_graph_at_odds_with_the_knowledge_is_refused(knowledge: Knowledge, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        Known(tuple("abcdef")).learn(linear(100), knowledge)
