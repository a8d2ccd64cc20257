"""The laws that hold for any graph, any knowledge and any order: on graphs, knowledge and orders drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ccigkit.causal.graph import CausalGraph, Knowledge, reachability
from ccigkit.causal.scm.base import SCM, longest_path
from ccigkit.causal.scm.linear import LinearSCM
from ccigkit.causal.scm.nonlinear import NonlinearSCM
from ccigkit.causal.scm.postnonlinear import PostNonlinearSCM
from ccigkit.component.registry import registry
from ccigkit.interfaces import Intervention, StructureLearner
from tests.simulate import linear

torch.set_num_threads(1)

SIZE, LONG = 7, 5  # attributes, and edges on the path that every graph has
FAST = {
    learner.name: learner
    for learner in registry()
    if issubclass(learner, StructureLearner) and learner.name not in ("known", "gae")
}
few = settings(max_examples=12, deadline=None, derandomize=True, database=None)
fewer = settings(few, max_examples=6)
every_scm = pytest.mark.parametrize("kind", [LinearSCM, NonlinearSCM, PostNonlinearSCM])
every_fast_learner = pytest.mark.parametrize("make", FAST.values(), ids=FAST)


# --- structural causal models -----------------------------------------------------------------------------------------


@st.composite
def dags(draw: st.DrawFn) -> Tensor:
    """[7, 7], the weights of a random acyclic graph, the columns in any order, with a path of at least five edges."""
    order = draw(st.permutations(range(SIZE)))
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    weights = random.uniform(0.4, 0.9, (SIZE, SIZE)) * random.choice([-1, 1], (SIZE, SIZE))
    edges = random.random((SIZE, SIZE)) < draw(st.sampled_from([0.0, 0.3, 0.8]))
    adjacency = np.zeros((SIZE, SIZE))
    for (i, a), (j, b) in combinations(enumerate(order), 2):
        if edges[a, b] or (j == i + 1 and i < LONG):
            adjacency[a, b] = weights[a, b]
    return torch.tensor(adjacency).float()


@st.composite
def held(draw: st.DrawFn) -> dict[int, float]:
    """Latents of one to three attributes to hold fixed."""
    return draw(st.dictionaries(st.integers(0, SIZE - 1), st.sampled_from([-2.0, 0.5, 1.5]), min_size=1, max_size=3))


def random_scm(kind: Callable[[int], SCM]) -> SCM:
    """One with parameters away from where they start."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        scm = kind(SIZE)
        for parameter in scm.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        return scm.requires_grad_(False)


def noise(n: int = 16) -> Tensor:
    return torch.randn(n, SIZE, generator=torch.Generator().manual_seed(0))


def close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-4)


def assert_do(scm: SCM, adjacency: Tensor, do: dict[int, float]) -> None:
    """Law 2: what is held is held, what it causes is worked out anew, and everything else stays bit for bit."""
    u = noise()
    z = scm(u, adjacency)
    changed = scm.counterfactual(z, adjacency, Intervention.of(do, z))
    again = scm.mechanism(changed, adjacency, u)
    reach = reachability((adjacency != 0).numpy())[list(do)].any(axis=0)
    for j in range(SIZE):
        if j in do:
            assert (changed[:, j] == do[j]).all()
        elif reach[j]:
            assert close(changed[:, j], again[:, j])
        else:
            assert torch.equal(changed[:, j], z[:, j])


@given(adjacency=dags())
@few
def test_the_graphs_drawn_are_deep(adjacency: Tensor) -> None:
    assert longest_path(adjacency) >= LONG


@every_scm
@given(adjacency=dags())
@few
def test_abduction_and_action_undo_each_other_on_any_graph(kind: type[SCM], adjacency: Tensor) -> None:
    scm, u = random_scm(kind), noise()
    z = scm(u, adjacency)
    assert close(scm.abduct(z, adjacency), u)
    assert close(scm(scm.abduct(z, adjacency), adjacency), z)


@every_scm
@given(adjacency=dags(), do=held())
@few
def test_any_do_holds_recomputes_and_leaves_alone_on_any_graph(
    kind: type[SCM], adjacency: Tensor, do: dict[int, float]
) -> None:
    assert_do(random_scm(kind), adjacency, do)


@every_scm
@given(adjacency=dags())
@few
def test_a_null_intervention_changes_nothing_on_any_graph(kind: type[SCM], adjacency: Tensor) -> None:
    scm = random_scm(kind)
    z = scm(noise(), adjacency)
    assert torch.equal(scm.counterfactual(z, adjacency, Intervention.of({}, z)), z)


@every_scm
@given(adjacency=dags())
@few
def test_a_mechanism_sees_its_causes_alone_on_any_graph(kind: type[SCM], adjacency: Tensor) -> None:
    scm, u = random_scm(kind), noise(1)
    slopes = torch.autograd.functional.jacobian(lambda z: scm.mechanism(z, adjacency, u)[0], scm(u, adjacency))[:, 0]
    others = (adjacency == 0) & ~torch.eye(SIZE, dtype=torch.bool)
    assert (slopes.T[others] == 0).all()
    assert (slopes.T[adjacency != 0] != 0).all()


class ShortSighted(LinearSCM):
    """One whose do() reaches three generations, which a graph of three would never show."""

    def forward(self, u: Tensor, adjacency: Tensor, intervention: Intervention | None = None) -> Tensor:
        z = super().forward(u, adjacency)
        for _ in range(4 if intervention else 0):
            z = intervention.apply(self.mechanism(intervention.apply(z), adjacency, u))
        return z


def test_a_do_that_ends_after_three_generations_is_seen() -> None:
    chain = torch.diag(torch.full((SIZE - 1,), 0.8), 1)
    assert_do(random_scm(LinearSCM), chain, {0: 1.5})
    with pytest.raises(AssertionError):
        assert_do(random_scm(ShortSighted), chain, {0: 1.5})


# --- learners ---------------------------------------------------------------------------------------------------------


@st.composite
def knowledge(draw: st.DrawFn) -> Knowledge:
    """Knowledge of the attributes a to f that does not contradict itself: it all agrees with one order of them."""
    order = draw(st.permutations(list("abcdef")))
    along = list(combinations(order, 2))
    required = draw(st.sets(st.sampled_from(along), max_size=3))
    pairs = [(a, b) for a in order for b in order if a != b and (a, b) not in required]
    forbidden = draw(st.sets(st.sampled_from(pairs), max_size=6))
    ends = sorted(draw(st.sets(st.integers(1, 5), max_size=2)))
    tiers = [tuple(order[start:end]) for start, end in pairwise([0, *ends, 6])]
    causes, effects = {a for a, _ in required}, {b for _, b in required}
    roots = draw(st.sets(st.sampled_from(order), max_size=2)) - effects
    leaves = draw(st.sets(st.sampled_from(order), max_size=2)) - causes
    return Knowledge(
        frozenset(required), frozenset(forbidden), tuple(tiers) if ends else (), frozenset(roots), frozenset(leaves)
    )


def assert_honoured(graph: CausalGraph, known: Knowledge) -> None:
    assert not (graph.adjacency & ~known.allowed(graph.names)).any()
    assert (graph.adjacency >= known.required_edges(graph.names)).all()


@every_fast_learner
@given(known=knowledge())
@fewer
def test_any_knowledge_is_honoured(make: type[StructureLearner], known: Knowledge) -> None:
    table = linear(200)
    assert_honoured(make(table.names).learn(table, known), known)


@every_fast_learner
@given(names=st.permutations(list("abcdef")), known=knowledge())
@fewer
def test_any_order_of_the_columns_gives_the_same_edges(
    make: type[StructureLearner], names: list[str], known: Knowledge
) -> None:
    table = linear(200)
    graph = make(table.names).learn(table, known)
    other = make(tuple(names)).learn(table.reordered(names), known)
    assert set(other.edges) == set(graph.edges)
