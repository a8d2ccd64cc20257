"""The command line, as a person uses it: train, look, ask, measure."""

from __future__ import annotations

import csv
import json
import shutil
import tomllib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ccigkit as package
from ccigkit.commands.config import Config
from ccigkit.commands.run import Run
from ccigkit.component.registry import registry
from ccigkit.graph import CausalGraph
from tests.celeba_folder import write_celeba
from tests.helpers import TINY, ccigkit, process
from tests.simulate import linear

torch.set_num_threads(1)

NAMES = ("angle", "light", "length", "position")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three steps, trained by the command."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    done = ccigkit("train", "--data", "pendulum", *TINY, "--steps", 3, "train.sample_every=2", "--run", folder)
    assert done.code == 0, done.err
    assert done.err == ""
    assert "step 3/3" in done.out
    assert "SHD to the true graph" in done.out
    return folder


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A photograph of another size than the model's."""
    path = tmp_path / "me.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A bare table of attributes, as CSV."""
    path = tmp_path / "table.csv"
    content = linear(500)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(content.names)
        writer.writerows(content.values.tolist())
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB"))


# --- train ------------------------------------------------------------------------------------------------------------


def test_a_run_holds_everything_it_promises(run: Path) -> None:
    promised = {"config.toml", "versions.json", "graph.toml", "graph.png", "checkpoint.pt", "model.safetensors"}
    promised |= {
        "model.json",
        "log.jsonl",
        "metrics.json",
        "samples",
        "interventions.png",
        "training.png",
        "best",
        ".lock",
    }
    assert {path.name for path in run.iterdir()} == promised
    assert [path.name for path in (run / "samples").iterdir()] == ["000002.png"]


def test_a_run_says_what_made_it(run: Path) -> None:
    config = Run(run).config
    assert config.tables["train"]["steps"] == 3
    assert config.tables["encoder"] == {"name": "dcgan", "width": 8}
    versions = json.loads((run / "versions.json").read_text())
    assert versions["torch"] == version("torch")
    assert versions["components"]["scm"]["name"] == "mixed"
    assert versions["components"]["scm"]["plugin"] == "builtin"
    assert CausalGraph.from_toml(run / "graph.toml").names == NAMES
    description = json.loads((run / "model.json").read_text())
    assert [attribute["name"] for attribute in description["attributes"]] == list(NAMES)
    steps = [entry["step"] for entry in Run(run).read_log()]
    assert (steps[0], steps[-1]) == (1, 3)
    assert json.loads((run / "metrics.json").read_text())["steps"] == 3


def test_its_pictures_show_something(run: Path) -> None:
    for name in ("graph.png", "interventions.png", "samples/000002.png"):
        assert pixels(run / name).std() > 5


def test_what_stands_in_a_run_can_be_handed_back(run: Path, tmp_path: Path) -> None:
    done = ccigkit("train", "--config", run / "config.toml", "--dry-run")
    assert done.code == 0
    assert done.out == (run / "config.toml").read_text()


def test_a_dry_run_says_everything_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = ccigkit("train", "--data", "pendulum", "--dry-run", "--run", "here", "--seed", 4)
    assert done.code == 0
    resolved = tomllib.loads(done.out)
    assert resolved["data"]["name"] == "pendulum"
    assert resolved["train"]["seed"] == 4
    assert set(resolved) == {
        "data", "structure", "scm", "encoder", "generator", "discriminator", "image", "placement", "objective", "train",
        "knowledge",
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_run_has_a_name_when_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = ccigkit("train", "--data", "pendulum", *TINY, "--steps", 1, "--objective", "dear", "--seed", 2)
    assert done.code == 0, done.err
    assert (tmp_path / "runs" / "pendulum-auto-dcgan-dear-seed2" / "model.safetensors").is_file()


def test_the_same_command_finds_nothing_left_to_do(run: Path) -> None:
    before = (run / "checkpoint.pt").read_bytes()
    done = ccigkit("train", "--data", "pendulum", *TINY, "--steps", 3, "train.sample_every=2", "--run", run)
    assert done.code == 0
    assert "going on from step 3" in done.out
    assert (run / "checkpoint.pt").read_bytes() == before


# --- which configuration wins -----------------------------------------------------------------------------------------


def resolved(*arguments: object) -> dict[str, dict[str, object]]:
    done = ccigkit("train", *arguments, "--dry-run")
    assert done.code == 0, done.err
    return tomllib.loads(done.out)


def test_defaults_then_recipe_then_file_then_names_then_settings(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[scm]\nname = "nonlinear"\nhidden = 7\n[train]\nsteps = 11\nseed = 5\n')
    default = resolved()
    assert (default["structure"]["name"], default["scm"]["name"], default["objective"]["name"]) == (
        "auto", "mixed", "ccig",
    )  # fmt: skip
    recipe = resolved("--recipe", "dear")
    assert (recipe["structure"]["name"], recipe["scm"]["name"], recipe["objective"]["name"]) == (
        "known", "linear", "dear",
    )  # fmt: skip
    both = resolved("--recipe", "dear", "--config", file)
    assert (both["structure"]["name"], both["scm"], both["train"]["steps"]) == (
        "known", {"name": "nonlinear", "hidden": 7}, 11,
    )  # fmt: skip
    named = resolved("--recipe", "dear", "--config", file, "--structure", "pc", "--steps", 12)
    assert (named["structure"]["name"], named["scm"]["hidden"], named["train"]["steps"]) == ("pc", 7, 12)
    assert named["train"]["seed"] == 5
    last = resolved("--config", file, "--scm", "nonlinear", "--steps", 12, "scm.hidden=9", "train.steps=13")
    assert (last["scm"]["hidden"], last["train"]["steps"]) == (9, 13)


def test_a_backbone_is_three_parts_and_each_can_be_another() -> None:
    mixed = resolved("--backbone", "dcgan", "--encoder", "resnet", "generator.width=12")
    assert [mixed[part]["name"] for part in ("encoder", "generator", "discriminator")] == ["resnet", "dcgan", "dcgan"]
    assert mixed["generator"]["width"] == 12


def test_another_component_forgets_the_options_of_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[structure]\nname = "gae"\nhidden = 5\n')
    assert resolved("--config", file)["structure"]["hidden"] == 5
    assert "hidden" not in resolved("--config", file, "--structure", "pc")["structure"]


def test_values_are_toml_where_they_can_be_and_text_where_not(tmp_path: Path) -> None:
    tables = resolved("--data", "celeba", f"data.root={tmp_path}", 'data.attributes=["Smiling", "Male"]')
    assert tables["data"]["root"] == str(tmp_path)
    assert tables["data"]["attributes"] == ["Smiling", "Male"]


# --- sample and counterfactual ----------------------------------------------------------------------------------------


def test_samples_are_a_grid_and_repeat(run: Path, tmp_path: Path) -> None:
    first, again, other = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"
    assert ccigkit("sample", run, "-n", 4, "--out", first).code == 0
    assert ccigkit("sample", run, "-n", 4, "--out", again).code == 0
    assert ccigkit("sample", run, "-n", 4, "--out", other, "--do", "angle=0.7", "--do", "light=0.9").code == 0
    assert pixels(first).shape == (2 * 36, 2 * 36, 3)
    assert np.array_equal(pixels(first), pixels(again))
    assert not np.array_equal(pixels(first), pixels(other))


def test_counterfactuals_are_files_named_after_their_question(run: Path, picture: Path, tmp_path: Path) -> None:
    other = tmp_path / "you.png"
    shutil.copy(picture, tmp_path / "copy.jpg")
    Image.new("RGB", (32, 32), (200, 120, 40)).save(other)
    out = tmp_path / "out"
    done = ccigkit("counterfactual", run, picture, other, "--do", "angle=0.3", "--do", "length=3", "--out", out)
    assert done.code == 0, done.err
    made = sorted(path.name for path in out.iterdir())
    assert made == ["me do(angle=0.3,length=3).png", "you do(angle=0.3,length=3).png"]
    assert all(name in done.out for name in made)
    assert pixels(out / made[0]).shape == (32, 32, 3)


def test_three_lines_of_python_need_no_data(tmp_path: Path) -> None:
    celeba = write_celeba(tmp_path / "celeba")
    options = (f"data.root={celeba}", f"data.cache={tmp_path / 'cache'}", "data.size=32", "backbone.width=8")
    words = ("--data", "celeba", "--backbone", "dcgan", "--objective", "dear", "--steps", 1, "--run", tmp_path / "run")
    done = ccigkit("train", *words, *options)
    assert done.code == 0, done.err
    photograph = shutil.copy(celeba / "img_align_celeba" / "000001.jpg", tmp_path)
    shutil.rmtree(celeba)
    shutil.rmtree(tmp_path / "cache")

    model = package.load(tmp_path / "run")
    other = model.counterfactual(package.read_image(photograph, model), do={"Smiling": 1})
    faces = model.sample(16, do={"Smiling": 1})

    assert other.shape == (3, 32, 32)
    assert faces.shape == (16, 3, 32, 32)
    package.save_image(other, tmp_path / "other.png")
    assert pixels(tmp_path / "other.png").shape == (32, 32, 3)


# --- components -------------------------------------------------------------------------------------------------------


def test_components_are_listed_by_kind_with_their_plugin() -> None:
    done = ccigkit("components")
    assert done.code == 0
    for component in registry():
        assert component.name in done.out
    assert "builtin 0.1.0" in done.out
    assert "ccig-published" in done.out
    only = ccigkit("components", "scm").out
    assert "nonlinear" in only
    assert "resnet" not in only


def test_a_component_is_shown_with_its_options() -> None:
    done = ccigkit("components", "structure", "gae")
    assert "structure.rounds" in done.out
    assert "how often the penalty on cycles is raised" in done.out
    assert "no options" in ccigkit("components", "scm", "linear").out


def test_the_module_is_the_command(tmp_path: Path) -> None:
    done = process("components", "scm", folder=tmp_path)
    assert done.code == 0, done.err
    assert "nonlinear" in done.out


# --- graph ------------------------------------------------------------------------------------------------------------


def test_the_graph_of_a_bare_table_is_learned_drawn_and_handed_back(table: Path, tmp_path: Path) -> None:
    toml, png = tmp_path / "graph.toml", tmp_path / "graph.png"
    tiers = 'knowledge.tiers=[["a"], ["b", "c"], ["d"], ["e", "f"]]'
    done = ccigkit("graph", table, "--structure", "notears", tiers, "--out", toml, "--out", png)
    assert done.code == 0, done.err
    graph, truth = CausalGraph.from_toml(toml), linear(10).truth
    assert truth is not None
    assert set(graph.edges) >= set(truth.edges)
    assert pixels(png).std() > 5
    content = toml.read_text()
    toml.write_text(content.replace('"a -> b', '"f -> e : 1",\n    "a -> b'))
    again = ccigkit("graph", table, "--structure", "known", f"structure.graph={toml}", "--out", tmp_path / "again.toml")
    assert again.code == 0, again.err
    edited = CausalGraph.from_toml(tmp_path / "again.toml")
    assert set(edited.edges) == set(graph.edges) | {("f", "e")}
    assert "e " in again.out


def test_the_graph_of_a_data_set_needs_no_training(tmp_path: Path) -> None:
    toml = tmp_path / "graph.toml"
    done = ccigkit("graph", "--data", "pendulum", "data.n=60", "--structure", "known", "--out", toml)
    assert done.code == 0, done.err
    assert "SHD to the true graph: 0" in done.out
    done = ccigkit("train", "--data", "pendulum", *TINY, "--structure", "known", f"structure.graph={toml}", "--dry-run")
    assert tomllib.loads(done.out)["structure"] == {"name": "known", "graph": str(toml)}


def test_a_parquet_table_is_as_good(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    content = linear(300)
    columns = {name: content.values[:, j] for j, name in enumerate(content.names)}
    parquet.write_table(arrow.table(columns), tmp_path / "table.parquet")
    assert ccigkit("graph", tmp_path / "table.parquet").code == 0


# --- data -------------------------------------------------------------------------------------------------------------


def test_data_is_listed_looked_at_and_prepared(tmp_path: Path) -> None:
    listed = ccigkit("data", "list")
    assert all(name in listed.out for name in ("pendulum", "faces", "celeba"))
    sheet = tmp_path / "sheet.png"
    done = ccigkit("data", "preview", "pendulum", "n=60", "size=32", "--out", sheet)
    assert done.code == 0, done.err
    assert "picture units" in done.out
    assert pixels(sheet).std() > 5
    celeba = write_celeba(tmp_path / "celeba")
    options = (f"root={celeba}", f"cache={tmp_path / 'cache'}", "size=32")
    prepared = ccigkit("data", "prepare", "celeba", *options)
    assert prepared.code == 0, prepared.err
    assert "train: 36 images of [3, 32, 32]" in prepared.out
    assert "test: 4 images of [3, 32, 32]" in prepared.out
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 2
    again = ccigkit("data", "prepare", "celeba", *(f"data.{option}" for option in options))  # as train takes them
    assert again.out == prepared.out


def test_what_is_resolved_is_validated_twice_alike() -> None:
    config = Config.resolve([("test", {"data": {"name": "pendulum"}})])
    assert config.difference(Config.resolve([("test", tomllib.loads(config.to_toml()))])) is None
