"""A name that stands for a model: what is taken where, and what is said where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import torch

import ccigkit
from ccigkit.component.known import KNOWN
from ccigkit.component.registry import registry
from ccigkit.errors import ConfigError
from ccigkit.images import read_image, save_image
from ccigkit.model import load_model
from ccigkit.model.place import located
from tests.helpers import TINY
from tests.helpers import ccigkit as command

PLUGIN = """
    import ccigkit

    ccigkit_api = 1


    @ccigkit.hookimpl
    def ccigkit_models():
        return {answer}
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a picture to try beside it."""
    folder = tmp_path_factory.mktemp("place") / "run"
    words = ("--data", "pendulum", "--structure", "known", "--scm", "linear", *TINY, "--steps", 1, "--run", folder)
    done = command("train", *words)
    assert done.code == 0, done.err
    save_image(torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)), folder / "example.png")
    return folder


@pytest.fixture
def brought(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A plugin that brings it as `first`; the folder of work is empty."""
    file = tmp_path / "brings.py"
    file.write_text(dedent(PLUGIN).format(answer={"first": str(model)}))
    registry.cache_clear()
    ccigkit.use_plugin(file)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    yield model
    registry.cache_clear()


def test_the_name_of_a_plugins_model_stands_for_its_folder(brought: Path) -> None:
    assert located("first") == located(Path("first")) == brought
    assert ccigkit.load("first").graph == ccigkit.load(brought).graph
    assert command("sample", "first", "-n", 1).code == 0
    assert (named := Path("sample.png").read_bytes())
    assert command("sample", brought, "-n", 1, "--out", "again.png").code == 0
    assert Path("again.png").read_bytes() == named
    assert "first" in command("components").out


def test_a_folder_with_a_model_or_a_run_comes_before_that_name(brought: Path) -> None:
    shutil.copytree(brought, "first")
    assert located("first") == Path("first")
    Path("first/model.safetensors").unlink()  # a run that has not come to a checkpoint yet
    assert "first holds no trained model" in command("sample", "first").refusal()


def test_a_folder_of_pictures_or_a_file_does_not_hide_the_model(brought: Path) -> None:
    Path("first").mkdir()
    save_image(torch.zeros(1, 3, 8, 8), Path("first/answer.png"))
    assert located("first") == brought
    shutil.rmtree("first")
    Path("first").write_text("notes")
    assert located("first") == brought


def test_what_is_more_than_a_name_is_a_folder(brought: Path) -> None:
    for where in (Path("models/first"), Path.cwd() / "first"):
        assert located(where) == where
        assert "holds no trained model" in command("sample", where).refusal()
    assert "second holds no trained model" in command("sample", "second").refusal()


def test_a_model_whose_plugin_is_known_but_not_installed_is_answered_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = registry()
    monkeypatch.setattr(found, "plugins", [plugin for plugin in found.plugins if plugin.name != "demo"])
    (demo,) = (plugin for plugin in KNOWN if plugin.models)
    for words in (("sample", "demo"), ("counterfactual", "demo", "--do", "Smiling=1"), ("export", "demo")):
        said = command(*words).refusal()
        assert said == f"no folder demo holds a model here, and none is installed: {demo.remedy}"
    monkeypatch.setitem(found.broken, "demo", "ValueError: of old")
    with pytest.raises(ConfigError, match=r"pip install ./plugins/ccigkit-demo \(plugin 'demo' was set aside: Value"):
        located("demo")


def test_a_plugin_that_fails_to_say_its_models_is_said_and_passed_over(brought: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(dedent(PLUGIN).format(answer="1 / 0"))
    ccigkit.use_plugin(bad)
    with pytest.warns(UserWarning, match="the models of plugin 'bad.py' are left out: ZeroDivisionError"):
        assert located("first") == brought


def test_without_a_picture_the_example_beside_the_model_is_asked_about(brought: Path) -> None:
    done = command("counterfactual", "first", "--do", "angle=0.3")
    assert done.code == 0, done.err
    assert str(brought / "example.png") in done.out
    model = load_model(brought)
    answer = model.counterfactual(read_image(brought / "example.png", model), {"angle": 0.3})
    written = read_image("example do(angle=0.3).png", model)
    assert (written - answer).abs().max() <= 1 / 127.5


def test_without_a_picture_and_an_example_one_is_asked_for(brought: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(brought, bare, ignore=shutil.ignore_patterns("example.png"))
    said = command("counterfactual", bare, "--do", "angle=0.3").refusal()
    assert said.startswith(f"no example comes with {bare}: name a picture")
