"""Every structure with every SCM, backbone and objective; every schedule, precision and size."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partialmethod
from itertools import product
from pathlib import Path

import pytest
import torch

from ccigkit import images
from ccigkit.attributes import Table
from ccigkit.causal.model import CausalModel
from ccigkit.commands import train as command
from ccigkit.commands.config import Config
from ccigkit.commands.graph import learn_graph
from ccigkit.commands.run import Run
from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.graph import Knowledge
from ccigkit.interfaces import JointStructureLearner
from ccigkit.model import CausalImageModel, load_model
from ccigkit.structure.learned import Learned
from tests.helpers import SILENT, tiny

torch.set_num_threads(1)

STRUCTURES = ("known", "notears", "pc", "gae")
SCMS = ("linear", "nonlinear")
BACKBONES = ("dcgan", "resnet")
OBJECTIVES = ("ccig", "dear")
SHORT = ("train.steps=2", "train.sample_every=0")
QUICK = {"gae": ("structure.rounds=2", "structure.steps=20")}


@pytest.fixture(scope="module", autouse=True)
def _short() -> Iterator[None]:
    """No long preparations, no drawings of graphs (drawn elsewhere), and each structure learned once."""
    learned: dict[tuple[str, str], Learned] = {}

    def learn_once(config: Config, table: Table, known: Knowledge) -> Learned:
        name = config.tables["structure"]["name"], config.tables["data"]["name"]
        if config.train.schedule == "joint":  # its learner goes on learning: never the same one twice
            return learn_graph(config, table, known)
        if name not in learned:
            learned[name] = learn_graph(config, table, known)
        return learned[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "learn_graph", learn_once)
        patch.setattr(command, "save_graph", lambda *_: None)
        patch.setattr(CausalModel, "fit_mechanisms", partialmethod(CausalModel.fit_mechanisms, steps=5))
        yield


def train(folder: Path, *settings: str) -> CausalImageModel:
    """Train a tiny model, and hold it to what every model must do."""
    config = tiny(*SHORT, *settings)
    model = command.train(config, folder, SILENT)
    steps = [entry["step"] for entry in Run(folder).read_log()]
    assert steps == [1, 2]
    image = images.to_float(Pendulum(n=60, size=config.tables["data"]["size"]).load("test").images[:2])
    again = load_model(folder)
    counterfactual = again.counterfactual(image, {"angle": 0.4})
    assert counterfactual.shape == image.shape
    assert torch.isfinite(counterfactual).all()
    assert torch.equal(counterfactual, model.counterfactual(image, {"angle": 0.4}))
    return model


@pytest.mark.parametrize(
    ("structure", "scm", "backbone", "objective"),
    [*product(STRUCTURES, SCMS, BACKBONES, OBJECTIVES), *product(("notears",), ("mixed",), ("dcgan",), OBJECTIVES)],
)
def test_every_combination_trains(structure: str, scm: str, backbone: str, objective: str, tmp_path: Path) -> None:
    names = (f"structure.name={structure}", f"scm.name={scm}", f"objective.name={objective}")
    train(tmp_path / "run", *names, *QUICK.get(structure, ()), f"backbone.name={backbone}", "backbone.width=8")


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("schedule", ["freeze", "finetune", "joint"])
@pytest.mark.parametrize("structure", ["notears", "dagma", "golem", "gae"])
def test_every_schedule_trains(structure: str, schedule: str, objective: str, tmp_path: Path) -> None:
    config = (f"train.schedule={schedule}", f"structure.name={structure}", f"objective.name={objective}")
    before = learn_graph(tiny(*config, *QUICK.get(structure, ())), Pendulum(n=60, size=32).table(), Pendulum.knowledge)
    model = train(tmp_path / "run", *config, *QUICK.get(structure, ()))
    assert isinstance(before.learner, JointStructureLearner)
    strengths = torch.tensor(model.graph.strengths).float()
    if schedule == "freeze":
        assert torch.equal(strengths, torch.tensor(before.graph.strengths).float())
    elif schedule == "finetune":
        assert not torch.equal(strengths, torch.tensor(before.graph.strengths).float())
        assert model.graph.edges == before.graph.edges
    else:
        assert not torch.equal(strengths, torch.tensor(before.learner.graph().strengths).float())


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_bfloat16_trains_on_the_cpu(backbone: str, objective: str, tmp_path: Path) -> None:
    names = (f"backbone.name={backbone}", "backbone.width=8", f"objective.name={objective}")
    model = train(tmp_path / "run", *names, "train.precision=bfloat16")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("size", [16, 32, 64, 128])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_size_trains(backbone: str, size: int, tmp_path: Path) -> None:
    names = (f"backbone.name={backbone}", "backbone.width=8", "objective.name=dear", "train.batch=2")
    model = train(tmp_path / "run", *names, f"data.size={size}")
    assert model.image_shape == (3, size, size)


def test_kinds_of_backbone_mix(tmp_path: Path) -> None:
    names = ("encoder.name=resnet", "generator.name=dcgan", "discriminator.name=resnet")
    train(tmp_path / "run", *names, "encoder.width=8", "generator.width=8", "discriminator.width=8")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_latent_without_a_residual_trains(objective: str, tmp_path: Path) -> None:
    train(tmp_path / "run", "train.latent=4", f"objective.name={objective}")


def test_the_published_terms_alone_train(tmp_path: Path) -> None:
    others = ("bottleneck", "independence", "invariance", "minimality")
    off = ("reconstruction", "latent_cycle", "interventional", "mechanism", *others)
    train(tmp_path / "run", *(f"objective.{term}=0.0" for term in off), "objective.divergence=kl", "scm.name=linear")


def test_labels_that_are_binary_train(tmp_path: Path) -> None:
    config = tiny(*SHORT, "data.name=faces", "data.n=60", "data.size=32")
    model = command.train(config, tmp_path / "run", SILENT)
    assert model.counterfactual(torch.zeros(1, 3, 32, 32), {"Smiling": 1, "Male": 0}).shape == (1, 3, 32, 32)
