"""The model to begin with: small, of drawings, and right about them; from an empty folder, by its name."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import ccigkit_demo
import pytest
import torch
from ccigkit_demo import MODEL

import ccigkit
from ccigkit.data.base import Split
from ccigkit.data.drawn.faces import Faces
from ccigkit.images import read_image, to_float
from ccigkit.model import CausalImageModel, load_model
from ccigkit.model.files import read_model

UNSEEN = 7  # a seed of faces that the model was not trained on
LEAST = 0.7  # skill


def asked(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ccigkit", *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def model() -> CausalImageModel:
    torch.set_num_threads(1)
    return load_model("demo")


@pytest.fixture(scope="module")
def faces() -> tuple[Faces, Split]:
    data = Faces(n=320, seed=UNSEEN)
    return data, data.load("test")


def test_it_is_found_through_its_entry_point() -> None:
    (point,) = entry_points(group="ccigkit", name="demo")
    assert point.load() is ccigkit_demo
    assert ccigkit_demo.ccigkit_models() == {"demo": MODEL}


def test_it_is_small_and_holds_networks_in_16_bits_and_the_causal_model_as_it_was() -> None:
    assert sum(file.stat().st_size for file in MODEL.iterdir()) < 8e6
    _, tensors = read_model(MODEL / "model.safetensors")  # refuses what is damaged
    kinds = {(name.partition(".")[0], tensor.dtype) for name, tensor in tensors.items() if tensor.is_floating_point()}
    assert kinds == {("encoder", torch.bfloat16), ("generator", torch.bfloat16), ("scm", torch.float32)}


def test_it_names_no_place_of_the_machine_that_made_it() -> None:
    for name in ("model.json", "config.toml", "graph.toml"):
        assert "/" not in (MODEL / name).read_text()


def test_its_graph_is_the_true_one(model: CausalImageModel) -> None:
    assert set(model.graph.edges) == set(Faces.truth.edges)


@pytest.mark.parametrize("name", ["Smiling", "Male", "Young", "Eyeglasses"])
def test_its_answers_are_near_the_true_ones(model: CausalImageModel, faces: tuple[Faces, Split], name: str) -> None:
    """Skill: 1 for the true counterfactual, 0 for an answer that changes nothing."""
    data, test = faces
    assert test.noise is not None
    real, attribute = to_float(test.images), model.attributes[model.attributes.index(name)]
    for label, degree in enumerate(data.typical(attribute).tolist()):
        true = to_float(data.counterfactual(test.noise, {name: degree}).images)
        answer = model.counterfactual(real, {name: label})
        assert 1 - (answer - true).square().mean() / (real - true).square().mean() > LEAST


def test_the_example_is_a_test_image_whose_smile_shows(model: CausalImageModel) -> None:
    shown = read_image(MODEL / "example.png", model)
    test = Faces().load("test")
    assert (to_float(test.images) - shown).abs().flatten(1).amax(1).min() < 1e-6
    assert (model.counterfactual(shown, {"Smiling": 1}) - shown).abs().max() > 0.2


def test_the_first_edit_works_from_an_empty_folder(tmp_path: Path, model: CausalImageModel) -> None:
    done = asked("counterfactual", "demo", "--do", "Smiling=1", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    own = tmp_path / "picture.png"
    own.write_bytes((MODEL / "example.png").read_bytes())
    done = asked("counterfactual", "demo", own, "--do", "Smiling=1", "--out", "answers", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = tmp_path / "example do(Smiling=1).png", tmp_path / "answers/picture do(Smiling=1).png"
    assert first.read_bytes() == second.read_bytes()
    assert (read_image(first, model) - read_image(own, model)).abs().max() > 0.2


def test_new_faces_are_drawn_by_its_name(tmp_path: Path) -> None:
    done = asked("sample", "demo", "-n", 4, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sample.png").is_file()


def test_the_studio_opens_it_and_says_its_name() -> None:
    answers = pytest.importorskip("ccigkit_studio.answers")
    from ccigkit_studio import schema

    studio = answers.Studio(Path("demo"))
    assert studio.model.attributes.names == ccigkit.load("demo").attributes.names
    assert studio.command(schema.Question(picture="new-0", do=["Smiling=1"])).startswith("ccigkit counterfactual demo ")
