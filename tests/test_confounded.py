"""Hidden common causes: in graphs, in what is known, and as noise that goes together."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from ccigkit.causal import copula
from ccigkit.causal.attributes import Attribute, Table
from ccigkit.causal.graph import CausalGraph, Knowledge, honours
from ccigkit.causal.model import CausalModel
from ccigkit.causal.named import known_by_name, named_knowledge, read_named
from ccigkit.causal.scm.base import SCM
from ccigkit.causal.scm.linear import LinearSCM
from ccigkit.causal.scm.mixed import MixedSCM
from ccigkit.causal.structure import Structure
from ccigkit.commands.config import Config
from ccigkit.commands.graph import learn_graph
from ccigkit.component.registry import registry
from ccigkit.data.drawn.faces import ATTRIBUTES, Faces
from ccigkit.errors import ConfigError, GraphError
from ccigkit.interfaces import JointStructureLearner
from ccigkit.model.files import load, save_model
from ccigkit.show.drawings import graph_svg, save_graph
from ccigkit.structure.joint import JointStructure
from ccigkit.testing import CHAIN, toy_table
from tests.helpers import ccigkit

ABC = ("a", "b", "c")
V = CausalGraph.from_edges(ABC, ["a -> c", "b -> c", "a <-> b"])
AB = frozenset({frozenset({"a", "b"})})
names = st.lists(
    st.sampled_from(["a", "b", "a <-> b", "b -> a", "<->", "a <", "> b", 'q"', "é:1"]), min_size=2, unique=True
)


# --- in graphs --------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(names, st.data())
def test_any_names_come_back_from_toml(
    tmp_path_factory: pytest.TempPathFactory, among: list[str], data: st.DataObject
) -> None:
    size = len(among)
    kinds = data.draw(st.lists(st.sampled_from([0, 1, 2]), min_size=size * size, max_size=size * size))
    pairs = [(i, j, kinds[i * size + j]) for i in range(size) for j in range(i + 1, size)]
    graph = CausalGraph.from_weights(
        among,
        [(among[i], among[j], 0.5) for i, j, kind in pairs if kind == 1],
        [(among[i], among[j]) for i, j, kind in pairs if kind == 2],
    )
    path = tmp_path_factory.mktemp("graph") / "graph.toml"
    path.write_text(graph.to_toml())
    assert CausalGraph.from_toml(path) == graph


@pytest.mark.parametrize("lines", ['edges = ["a -> c", "b -> c", "b <-> a"]',
                                   'edges = ["a -> c", "b -> c"]\nconfounded = ["a <-> b"]',
                                   'edges = ["a -> c", {one = "a", other = "b"}, "b -> c"]'])  # fmt: skip
def test_a_pair_stands_among_the_edges_or_by_itself(tmp_path: Path, lines: str) -> None:
    (tmp_path / "graph.toml").write_text(f'names = ["a", "b", "c"]\n{lines}\n')
    assert CausalGraph.from_toml(tmp_path / "graph.toml") == V


@pytest.mark.parametrize(
    ("edges", "told"),
    [
        (["a <-> d"], "unknown attribute in a hidden common cause: 'd'"),
        (["a <-> a"], "of two attributes, not of one"),
        (["a -> b", "b <-> a"], r"both a -> b and a <-> b; remove one"),
        ([{"one": "a"}], r'write \{ one = "a", other = "b" \}'),
    ],
)
def test_what_is_no_pair_is_refused_in_a_line(edges: list[str], told: str) -> None:
    with pytest.raises(GraphError, match=told) as refusal:
        CausalGraph.from_edges(ABC, edges)
    assert "\n" not in str(refusal.value)


def test_what_can_be_read_twice_is_refused() -> None:
    with pytest.raises(GraphError, match="as an edge and as a hidden common cause"):
        CausalGraph.from_edges(("a", "b", "a <"), ["a <-> b"])


def test_equality_order_and_text_tell_of_pairs() -> None:
    without = replace(V, confounded=frozenset())
    assert without != V
    assert V.reordered(("c", "b", "a")).reordered(ABC) == V
    assert hash(V) == hash(CausalGraph.from_edges(ABC, ["a -> c", "b -> c", "b <-> a"]))
    assert V.to_text().splitlines()[-1] == "a <-> b"
    assert "<->" not in without.to_text()
    assert "confounded" not in without.to_toml()


def test_the_distance_counts_a_pair_missing_and_an_arrow_in_its_place() -> None:
    without, arrow = replace(V, confounded=frozenset()), CausalGraph.from_edges(ABC, ["a -> c", "b -> c", "a -> b"])
    assert [V.shd(other) for other in (V, without, arrow)] == [0, 1, 1]
    assert [V.shd(other, reversal=2) for other in (V, without, arrow)] == [0, 1, 2]


def test_a_picture_shows_the_pair(tmp_path: Path) -> None:
    pictures = []
    for name, graph in {"with": V, "without": replace(V, confounded=frozenset())}.items():
        save_graph(graph, tmp_path / f"{name}.png")
        pictures.append((tmp_path / f"{name}.png").read_bytes())
    assert pictures[0] != pictures[1]
    assert "a ↔ b: right" in graph_svg(V, V, "")
    assert "a ↔ b: missing" in graph_svg(replace(V, confounded=frozenset()), V, "")


# --- in what is known -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["auto", "boss", "dagma", "fci", "ges", "golem", "grasp", "notears", "pc"])
def test_no_learner_puts_an_arrow_there(name: str) -> None:
    config = Config.resolve([("test", {"structure": {"name": name}, "knowledge": {"confounded": ["b <-> a"]}})])
    table = toy_table()
    assert ("a", "b") in CHAIN.edges
    learned = learn_graph(config, table, Knowledge())
    assert not {("a", "b"), ("b", "a")} & set(learned.graph.edges)
    assert learned.graph.confounded == AB


def test_a_structure_that_goes_on_learning_keeps_the_pair() -> None:
    learner = registry().get("structure", "notears")(CHAIN.names)
    assert isinstance(learner, JointStructureLearner)
    graph = learner.learn(toy_table(), Knowledge(confounded=AB))
    assert JointStructure(learner, replace(graph, confounded=AB)).graph().confounded == AB
    assert JointStructure(learner).graph().confounded == frozenset()


def test_what_is_required_as_an_edge_cannot_be_confounded(tmp_path: Path) -> None:
    known = Knowledge(required=frozenset({("b", "a")}), confounded=AB)
    with pytest.raises(GraphError, match=r"b -> a is required, and by b <-> a neither causes the other"):
        known.required_edges(ABC)
    (tmp_path / "t.csv").write_text("a,b\n" + "\n".join(f"{i % 7},{i % 5}" for i in range(40)))
    refused = ccigkit("graph", tmp_path / "t.csv", 'knowledge.required=["a -> b"]', 'knowledge.confounded=["a <-> b"]')
    assert "keep one of the two" in refused.refusal()


def test_a_given_graph_keeps_its_own_pairs(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('names = ["a", "b", "c", "d"]\nedges = ["a <-> d", "a -> b"]\n')
    structure = {"name": "known", "graph": str(tmp_path / "mine.toml")}
    config = Config.resolve([("test", {"structure": structure, "knowledge": {"confounded": ["b <-> c"]}})])
    assert learn_graph(config, toy_table(), Knowledge()).graph.pairs == [("a", "d"), ("b", "c")]


def test_an_effect_between_confounded_ones_is_noted() -> None:
    config = Config.resolve([("test", {"structure": {"name": "known"}, "knowledge": {"confounded": ["a <-> c"]}})])
    table = replace(toy_table(), truth=CausalGraph.from_edges(CHAIN.names, ["a -> b", "b -> c"]))
    (note,) = learn_graph(config, table, Knowledge()).graph.notes
    assert note.startswith("a <-> c, and a causes c by way of others")


def test_the_confounder_of_the_faces_is_in_their_truth() -> None:
    assert Faces(n=20).truth.pairs == []
    truth = Faces(n=20, confounder=0.7).truth
    assert set(truth.pairs) == {tuple(sorted(("Eyeglasses", "Wearing_Lipstick"), key=ATTRIBUTES.index))}
    assert Faces(n=20, confounder=0.7).table().truth == truth


# --- knowledge by name ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", known_by_name())
def test_every_entry_says_why_of_attributes_that_it_knows(name: str) -> None:
    content = read_named(name)
    assert len(set(content["names"])) == len(content["names"])
    for entry in content["entry"]:
        assert entry["why"].endswith(".")
        for side in (entry.get("earlier", []), entry.get("later", [])):
            assert side == "others" or set(side) <= set(content["names"])
    whole = named_knowledge(name, content["names"])
    whole.required_edges(content["names"])
    assert whole.forbidden
    assert whole.confounded


def test_celeba_is_known_as_far_as_its_attributes_go() -> None:
    assert len(read_named("celeba")["names"]) == 40
    known = named_knowledge("celeba", ("Male", "Young", "Smiling"))
    assert known.forbidden == {("Smiling", "Male"), ("Smiling", "Young")}
    assert known.confounded == {frozenset({"Male", "Young"})}
    graph = replace(Faces.truth, confounded=known.confounded)
    honours(graph, named_knowledge("celeba", ATTRIBUTES))


def test_other_attributes_are_refused_in_a_line() -> None:
    refused = ccigkit("graph", "--data", "pendulum", "data.n=40", "knowledge.named=celeba").refusal()
    assert "about 40 attributes, and 'angle' is none of them" in refused
    assert "did you mean 'celeba'" in ccigkit("graph", "--data", "faces", "knowledge.named=celba").refusal()
    assert "celeba" in ccigkit("components").out


# --- as noise that goes together --------------------------------------------------------------------------------------


@functools.cache
def labels() -> Table:
    """10,000 rows: male and young go together as in CelebA's labels, and each has an effect."""
    random = np.random.default_rng(0)
    counts = {(1, 1): 2610, (1, 0): 1610, (0, 1): 5160, (0, 0): 620}
    rows = np.repeat(np.array(list(counts)), list(counts.values()), axis=0).astype(float)
    beard = np.where(rows[:, 0] == 1, random.random(10_000) < 0.4, 0.0)
    grey = (random.random(10_000) < np.where(rows[:, 1] == 1, 0.002, 0.193)) * 1.0
    graph = CausalGraph.from_edges(
        ("male", "young", "beard", "grey"), ["male -> beard", "young -> grey", "male <-> young"]
    )
    values = np.column_stack([rows, beard, grey])
    return Table.fit([Attribute(name, "binary") for name in graph.names], values, graph)


def model(make: type[SCM], table: Table) -> CausalModel:
    assert table.truth is not None
    torch.manual_seed(0)
    causal = CausalModel(table.attributes, Structure(table.truth), make(len(table.names)))
    causal.fit_mechanisms(torch.as_tensor(table.latents).float(), steps=150)
    return causal


@functools.cache
def fitted() -> CausalModel:
    return model(MixedSCM, labels()).eval().requires_grad_(False)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The total variation between pairs of labels [n, 2]."""
    shares = [
        np.bincount((2 * (rows[:, 0] > 0.5) + (rows[:, 1] > 0.5)).astype(int), minlength=4) for rows in (one, other)
    ]
    return float(np.abs(shares[0] / len(one) - shares[1] / len(other)).sum() / 2)


@pytest.mark.parametrize("make", [MixedSCM, LinearSCM])
def test_confounded_labels_are_sampled_as_they_go_together(make: type[SCM]) -> None:
    table = labels()
    drawn = (fitted() if make is MixedSCM else model(make, table)).sample(100_000, seed=0).numpy()
    assert apart(table.values[:, :2], drawn[:, :2]) < 0.01
    shuffled = np.column_stack([np.random.default_rng(0).permutation(table.values[:, 0]), table.values[:, 1]])
    assert apart(table.values[:, :2], shuffled) > 0.08


def test_do_of_one_leaves_the_other_bit_for_bit() -> None:
    causal, rows = fitted(), torch.as_tensor(labels().values)
    free, held = causal.sample(2000, seed=1), causal.sample(2000, {"male": 1}, seed=1)
    assert torch.equal(free[:, [1, 3]], held[:, [1, 3]])
    assert not torch.equal(free[:, 2], held[:, 2])
    changed = causal.counterfactual(rows[:2000], {"male": 0})
    assert torch.equal(changed[:, [1, 3]], rows[:2000][:, [1, 3]])


def test_without_pairs_an_scm_is_as_it_was() -> None:
    scm = LinearSCM(3)
    assert "correlation" not in scm.state_dict()
    torch.manual_seed(3)
    ranks = torch.rand(50, 3) * 1000
    torch.manual_seed(3)
    below = ranks.long().clamp(max=999)
    ends = [scm.quantiles.gather(0, at) for at in (below, below + 1)]
    assert torch.equal(scm.sample_noise(50), torch.lerp(*ends, ranks - below))
    torch.manual_seed(3)
    scm.correlate(torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 0]]) > 0)
    with_pair = scm.sample_noise(50)
    assert torch.equal(with_pair[:, 2], torch.lerp(*ends, ranks - below)[:, 2])


def test_drawn_noise_makes_its_rows_and_goes_together() -> None:
    causal = fitted()
    z = torch.as_tensor(labels().latents).float()
    adjacency = causal.structure.adjacency()
    noise = causal.scm.draw_noise(z, adjacency, torch.Generator().manual_seed(0))
    assert np.array_equal(causal.values(causal.scm(noise, adjacency)) > 0.5, labels().values > 0.5)
    assert causal.scm.correlation is not None
    found = np.corrcoef(noise[:, 0], noise[:, 1])[0, 1]
    assert abs(found - float(causal.scm.correlation[0, 1])) < 0.03


def test_a_saved_model_answers_as_before(tmp_path: Path) -> None:
    causal = fitted()
    save_model(causal, tmp_path, {"scm": {"name": "mixed"}})
    again = load(tmp_path)
    assert isinstance(again, CausalModel)
    assert again.graph == causal.graph
    assert torch.equal(again.sample(500, seed=4), causal.sample(500, seed=4))


def test_an_unordered_category_cannot_be_confounded() -> None:
    kinds = [Attribute("hair", "categorical", categories=("a", "b", "c")), Attribute("x", "continuous")]
    values = np.random.default_rng(0).integers(0, 3, (60, 2)).astype(float)
    table = Table.fit(kinds, values, CausalGraph.from_edges(("hair", "x"), ["hair <-> x"]))
    with pytest.raises(ConfigError, match=r'hair <-> x: .*data.kinds=\{hair = "ordered"\}'):
        model(MixedSCM, table)


# --- the copula -------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=8)
@example(-0.875, "labels", 0.75)  # which no row with both labels tells from -1
@given(st.floats(-0.9, 0.9), st.sampled_from(["labels", "numbers", "both"]), st.floats(0.2, 0.8))
def test_the_correlation_behind_labels_and_numbers_is_found(rho: float, kind: str, rate: float) -> None:
    random = np.random.default_rng(0)
    ranks = torch.special.ndtr(torch.as_tensor(random.multivariate_normal([0, 0], [[1, rho], [rho, 1]], 8000)))
    low, high = ranks.clone(), ranks.clone()
    for column in {"labels": (0, 1), "numbers": (), "both": (0,)}[kind]:
        above = ranks[:, column] > rate
        low[:, column], high[:, column] = torch.where(above, rate, 0.0), torch.where(above, 1.0, rate)
    found = copula.pairwise(low, high)
    if kind == "labels":
        counts = np.histogram2d(*(ranks > rate).double().numpy().T, bins=2, range=[[-0.5, 1.5]] * 2)[0]
        chances, likelihood = two_by_two(rho, rate), counts * np.log(two_by_two(found, rate))
        assert likelihood.sum() > (counts * np.log(chances)).sum() - 0.1  # the most likely one, whatever the sample
        if 8000 * chances.min() < 10:
            return  # as good as no row has both labels: that says how far apart they are at least, and no more
    assert found == pytest.approx(rho, abs=0.06)


def two_by_two(rho: float, rate: float) -> npt.NDArray[np.float64]:
    """The chances [2, 2] of two labels that are 0 at this rate, on normal scores correlated by rho."""
    score = float(torch.special.ndtri(torch.tensor(rate).double()))
    neither = float(multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf([score, score]))
    return np.array([[neither, rate - neither], [rate - neither, 1 - 2 * rate + neither]]).clip(1e-12)


def test_ranges_are_drawn_from_as_the_bivariate_normal_has_it() -> None:
    rho, below = 0.7, 0.3
    correlation = torch.tensor([[1, rho], [rho, 1]]).double()
    low, high = torch.zeros(20_000, 2).double(), torch.tensor([below, 1.0]).double().expand(20_000, 2).clone()
    low[:, 1] = 0.5
    start = (low + high) / 2
    drawn = copula.redrawn(start, low, high, correlation, torch.Generator().manual_seed(0))
    assert bool(((drawn >= low) & (drawn <= high)).all())
    together = multivariate_normal([0, 0], [[1, rho], [rho, 1]])
    edge, inner = (float(torch.special.ndtri(torch.tensor(p).double())) for p in (below, below / 2))
    exact = inner_share(together, inner) / inner_share(together, edge)
    assert float((drawn[:, 0] < below / 2).double().mean()) == pytest.approx(exact, abs=0.015)
    assert exact < 0.45  # where each is drawn by itself it is a half


def inner_share(together: multivariate_normal, edge: float) -> float:
    """P(x < edge, y > 0)."""
    return float(together.cdf([edge, 10]) - together.cdf([edge, 0]))


def test_pairs_that_cannot_be_so_together_are_brought_nearer() -> None:
    wanted = torch.eye(4).double()
    for i, j, rho in ((0, 1, 0.9), (1, 2, 0.9), (0, 2, -0.9)):
        wanted[i, j] = wanted[j, i] = rho
    found = copula.nearest(wanted)
    assert float(torch.linalg.eigvalsh(found)[0]) > 0
    assert torch.equal(found.diagonal(), torch.ones(4).double())
    assert bool((found[3, :3] == 0).all())
    assert float((found - wanted).norm()) < float((torch.eye(4) - wanted).norm()) / 1.5
    assert torch.allclose(copula.nearest(found), found, atol=1e-5)
