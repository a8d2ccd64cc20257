"""What an encoder reads by degree gives a graph of labels its directions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ccigkit.attributes import Table, Values
from ccigkit.causal.graph import honours
from ccigkit.commands.train import train
from ccigkit.data.drawn.faces import Faces
from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.errors import DataError, GraphError
from ccigkit.graph import CausalGraph, Knowledge
from ccigkit.interfaces import JointStructure, Structure
from ccigkit.model import load_model
from ccigkit.model.readings import can_read, readings
from ccigkit.structure.learners.auto import Auto
from ccigkit.structure.learners.golem import Golem
from ccigkit.structure.readings import causal_order, directed
from tests.helpers import SILENT, ccigkit, tiny

torch.set_num_threads(1)

NAMES = ("a", "b", "c")
NOWHERE = np.zeros((3, 3), dtype=bool)
HARD = ("data.name=faces", "data.labels=hard", "data.n=60", "data.size=32", "train.steps=4", "train.sample_every=0")


def chain(n: int = 4000) -> Values:
    """Rows [n, 3] of c -> a -> b, the noise uniform."""
    a, b, c = np.random.default_rng(0).uniform(-1, 1, (3, n))
    a = a + c
    return np.column_stack([a, b + a, c])


def faces(n: int, seed: int, noise: float = 0.0) -> tuple[Table, Values]:
    """Drawn faces by their labels, and their scores [n, d] under noise of so much of their spread."""
    scores = torch.logit(torch.as_tensor(Faces(n=n, seed=seed).table().values)).numpy()
    errors = np.random.default_rng(seed).normal(size=scores.shape) * scores.std(axis=0)
    return Faces(n=n, seed=seed, labels="hard").table(), scores + noise * errors


# --- the order, and the graph along it --------------------------------------------------------------------------------


def test_the_order_of_readings_is_from_causes_to_effects_on_any_scale() -> None:
    assert causal_order(chain() * [1, 100, 0.01] + [5, 0, -3], NOWHERE) == [2, 0, 1]


def test_the_order_is_that_of_directlingam() -> None:
    lingam = pytest.importorskip("causallearn.search.FCMBased.lingam")
    _, scores = faces(500, seed=3, noise=0.6)
    theirs = lingam.DirectLiNGAM()
    theirs.fit(scores)
    assert causal_order(scores, np.zeros((11, 11), dtype=bool)) == list(map(int, theirs.causal_order_))


def test_what_is_known_to_come_before_does() -> None:
    before = NOWHERE.copy()
    before[1, 2] = True
    order = causal_order(chain(), before)
    assert order.index(1) < order.index(2)


@pytest.mark.parametrize("seed", [20, 21, 22])
def test_noisy_degrees_direct_the_graph_of_labels(seed: int) -> None:
    labels, scores = faces(2000, seed, noise=0.3)
    assert labels.truth is not None
    graph = Auto(labels.names).learn(labels, Knowledge())
    found = directed(graph, scores, Knowledge())
    assert graph.shd(labels.truth) >= 2  # what labels leave open, and what their coarseness adds
    assert found.shd(labels.truth) == 0
    (note,) = found.notes
    assert "turned to" in note or "left out" in note


def test_edges_are_turned_or_left_out_but_never_added() -> None:
    wrong = CausalGraph.from_edges(NAMES, ["a -> c", "b -> c"])
    found = directed(wrong, chain(), Knowledge())
    assert found.edges == [("c", "a"), ("c", "b")]  # c -> b goes through a, which the graph does not join with b
    assert found.notes == ("directed by what the encoder reads: turned to c -> a, c -> b",)
    more = CausalGraph.from_edges(NAMES, ["c -> a", "c -> b", "a -> b"])
    assert directed(more, chain(), Knowledge()).edges == [("a", "b"), ("c", "a")]
    same = CausalGraph.from_edges(NAMES, ["c -> a"])
    assert directed(same, chain(), Knowledge()).notes == ("directed by what the encoder reads: no edge changed",)


@pytest.mark.parametrize(
    "known",
    [
        Knowledge(tiers=(("b",), ("a",), ("c",))),
        Knowledge(forbidden=frozenset({("c", "a")})),
        Knowledge(required=frozenset({("b", "c")})),
        Knowledge(forbidden=frozenset({("a", "b"), ("b", "c"), ("c", "a")})),  # a cycle of the edges that are left
    ],
)
def test_knowledge_wins_over_readings(known: Knowledge) -> None:
    graph = directed(CausalGraph.from_edges(NAMES, ["a -> b", "a -> c", "b -> c"]), chain(), known)
    honours(graph, known)
    assert graph.edges


def test_hidden_common_causes_stay() -> None:
    hidden = frozenset({frozenset({"b", "c"})})
    graph = CausalGraph.from_edges(NAMES, ["a -> b", "b <-> c"])
    assert directed(graph, chain(), Knowledge(confounded=hidden)).confounded == hidden


def test_contradictory_knowledge_is_refused() -> None:
    known = Knowledge(required=frozenset({("a", "b")}), forbidden=frozenset({("a", "b")}))
    with pytest.raises(GraphError, match="both required and forbidden"):
        directed(CausalGraph.from_edges(NAMES, ["a -> b"]), chain(), known)


# --- a structure that takes the new graph -----------------------------------------------------------------------------


def test_a_structure_takes_another_graph_with_the_strengths_of_the_table() -> None:
    labels, _ = faces(500, seed=3)
    structure = Structure(CausalGraph.from_edges(labels.names, ["Bald -> Male"]), learns=True)
    weights = structure.weights
    structure.rewire(CausalGraph.from_edges(labels.names, ["Male -> Bald"]), labels, Knowledge())
    assert structure.weights is weights  # the optimiser's own
    assert structure.graph().edges == [("Male", "Bald")]
    assert float(structure.adjacency().detach().sum()) == pytest.approx(np.corrcoef(labels.latents.T)[0, 6], rel=1e-5)


def test_a_joint_learner_goes_on_within_the_new_graph() -> None:
    labels, _ = faces(2000, seed=3)
    learner = Golem(labels.names)
    learner.learn(labels, Knowledge())
    structure = JointStructure(learner)
    weights = learner.weights
    new = CausalGraph.from_edges(labels.names, ["Male -> Bald", "Narrow_Eyes -> High_Cheekbones"])
    structure.rewire(new, labels, Knowledge())
    assert learner.weights is weights
    assert structure.graph().edges == new.edges
    assert int(learner.allowed.sum()) == 2


# --- a model that reads -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained for four steps: whatever it reads, it reads something."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(tiny(*HARD, "structure.name=known"), folder, SILENT)
    return folder


def test_readings_are_a_table_of_degrees_for_labels(run: Path) -> None:
    data, model = Faces(n=60, size=32, labels="hard"), load_model(run)
    read = readings(model, data, data.table())
    assert read.names == data.table().names
    assert {a.kind for a in read.attributes} == {"continuous"}
    image = data.load("train").images[:5].float() / 127.5 - 1
    expected, _ = model.image.read(image)  # type: ignore[operator]
    assert torch.allclose(torch.as_tensor(read.values[:5]).float(), expected, atol=1e-4)


def test_numbers_and_degrees_are_not_read_but_taken(tmp_path: Path) -> None:
    train(tiny("train.steps=1", "train.sample_every=0", "structure.name=known"), tmp_path / "run", SILENT)
    model, data = load_model(tmp_path / "run"), Pendulum(n=60, size=32)
    assert not can_read(model)
    with pytest.raises(DataError, match="learn from that alone"):
        readings(model, data, data.table())
    with pytest.raises(DataError, match="the model reads angle"):
        readings(model, data, faces(60, seed=0)[0])


def test_the_command_learns_from_what_a_run_reads(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "graph.toml"
    said = ccigkit("graph", run, "--structure", "boss", "--out", out).out
    assert "directed by what the encoder reads" in said
    both = CausalGraph.from_toml(out)
    assert "directed by what" not in ccigkit("graph", run, "--structure", "boss", "--from", "labels", "--out", out).out
    labels = CausalGraph.from_toml(out)
    joined = labels.adjacency | labels.adjacency.T
    assert not (both.adjacency & ~joined).any()
    assert "score" in ccigkit("graph", run, "--structure", "boss", "--from", "readings").out


def test_the_command_names_what_it_cannot_learn_from(run: Path, tmp_path: Path) -> None:
    assert "name the folder of one" in ccigkit("graph", "--data", "faces", "--from", "both").refusal()
    assert "known are both, labels, readings" in ccigkit("graph", run, "--from", "images").refusal()
    assert "--from labels or --from readings" in ccigkit("graph", run, "--bootstrap", 2).refusal()
    assert "not both" in ccigkit("graph", run, "--data", "pendulum").refusal()
    assert "holds no run" in ccigkit("graph", tmp_path).refusal()
