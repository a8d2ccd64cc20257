"""Models travel to a hub and back byte for byte, without code, without pictures of data, without paths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import torch

import ccigkit
from ccigkit.component.registry import registry
from ccigkit.hub import HubError, repository
from tests.helpers import TINY
from tests.helpers import ccigkit as command
from tests.hub_server import Hub, serving
from tests.test_place import PLUGIN as BRINGS
from tests.test_plugin_file import SOURCE

pytest.importorskip("huggingface_hub")
SENT = {"model.safetensors", "model.json", "graph.toml", "graph.png", "config.toml", "metrics.json", "versions.json"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_a_token_of_a_test")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.address)
        yield found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a component of a file, and an evaluation."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "my_scm.py").write_text(dedent(SOURCE))
    words = ("--scm", "halves", "--data", "pendulum", "--structure", "known", *TINY, "--steps", 1)
    done = command("train", "--plugin", folder / "my_scm.py", *words, "--run", folder / "run")
    assert done.code == 0, done.err
    rows = [{"do": "angle|x", "row": "model", "skill": {"mean": 0.5, "ci95": 0.1, "n": 8}}, {"row": "identity"}]
    metrics = [{"metric": "truth", "options": {}, "rows": rows}, {"metric": "cdm", "skipped": "no reason"}]
    (folder / "run" / "evaluation.json").write_text(json.dumps({"evaluations": [{"metrics": metrics}]}))
    return folder / "run"


def test_a_model_that_a_plugin_brings_can_be_sent_by_its_name(hub: Hub, run: Path, tmp_path: Path) -> None:
    (tmp_path / "brings.py").write_text(dedent(BRINGS).format(answer={"mine": str(run)}))
    sent = command("push", "--plugin", tmp_path / "brings.py", "mine", "somebody/mine")
    registry.cache_clear()
    assert sent.code == 0, sent.err
    assert hub.files["somebody/mine"]["model.safetensors"] == (run / "model.safetensors").read_bytes()


def test_what_is_sent_comes_back_byte_for_byte(hub: Hub, run: Path, tmp_path: Path) -> None:
    sent = command("push", run, "somebody/pendulum")
    assert sent.code == 0, sent.err
    assert set(hub.files["somebody/pendulum"]) == SENT | {"README.md"}
    assert hub.private["somebody/pendulum"]
    fetched = command("pull", "somebody/pendulum", "--out", tmp_path / "copy")
    assert fetched.code == 0, fetched.err
    for name in SENT - {"config.toml"}:
        assert (tmp_path / "copy" / name).read_bytes() == (run / name).read_bytes(), name
    images = [ccigkit.load(where).sample(2, seed=0) for where in (run, tmp_path / "copy", "hub:somebody/pendulum")]
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[0], images[2])
    asked = command("sample", "hub:somebody/pendulum", "-n", 2, "--out", tmp_path / "sample.png")
    assert asked.code == 0, asked.err


def test_nothing_of_the_machine_and_no_picture_of_data_is_sent(hub: Hub, run: Path) -> None:
    assert command("push", run, "somebody/pendulum", "--public").code == 0
    assert not hub.private["somebody/pendulum"]
    for name, content in hub.files["somebody/pendulum"].items():
        assert str(run.parent).encode() not in content, name
    assert b"device" not in hub.files["somebody/pendulum"]["config.toml"]


def test_the_card_says_what_the_model_is(hub: Hub, run: Path) -> None:
    assert command("push", run, "somebody/pendulum").code == 0
    card = hub.files["somebody/pendulum"]["README.md"].decode()
    assert card.startswith("---\nlibrary_name: ccigkit\n")
    assert 'ccigkit.load("hub:somebody/pendulum")' in card
    assert "`pendulum`: " in card
    assert "![The causal graph](graph.png)" in card
    assert "| do | row | skill |\n| --- | --- | --- |\n| angle\\|x | model | 0.5 |\n|  | identity |  |" in card
    assert "of the plugin `my_scm.py` sha256:" in card
    assert "Do not decide about people with it" in " ".join(card.split())
    assert "Where these show people" not in card  # drawn data show nobody


def test_a_plugin_that_is_missing_is_named_with_its_version(
    hub: Hub, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("push", run, "somebody/pendulum").code == 0
    registry.cache_clear()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))  # another machine
    said = command("sample", "hub:somebody/pendulum").refusal()
    assert "needs the plugin file my_scm.py (sha256 " in said
    answered = command(
        "sample", "hub:somebody/pendulum", "--plugin", run.parent / "my_scm.py", "--out", tmp_path / "sample.png"
    )
    assert answered.code == 0, answered.err


def test_only_what_is_named_is_fetched(hub: Hub, run: Path) -> None:
    assert command("push", run, "somebody/pendulum").code == 0
    hub.files["somebody/pendulum"] |= {"pytorch_model.bin": b"a pickle", "setup.py": b"code"}
    hub.asked.clear()
    ccigkit.load("hub:somebody/pendulum")
    assert any("model.safetensors" in asked for asked in hub.asked)
    assert not any("resolve" in asked and asked.endswith(("pytorch_model.bin", "setup.py")) for asked in hub.asked)


def test_what_cannot_be_fetched_is_one_line(hub: Hub, run: Path, tmp_path: Path) -> None:
    assert "has no such model" in command("pull", "somebody/nothing", "--out", tmp_path / "copy").refusal()
    assert "is no model on a hub" in command("pull", "nothing").refusal()
    assert "is there already" in command("pull", "somebody/pendulum", "--out", tmp_path).refusal()
    assert command("push", run, "somebody/broken").code == 0
    content = hub.files["somebody/broken"]["model.safetensors"]
    hub.files["somebody/broken"]["model.safetensors"] = content[:-8] + bytes(8)
    assert "is damaged" in command("pull", "somebody/broken", "--out", tmp_path / "copy").refusal()
    assert not (tmp_path / "copy").exists()


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccigkit.hub.find_spec", lambda name: None)
    assert "pip install 'ccigkit[hub]'" in command("pull", "somebody/faces").refusal()


def test_a_hub_that_is_away_is_one_line(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match="the hub"):
        ccigkit.load("hub:somebody/faces")


def test_names_on_a_hub() -> None:
    assert repository("somebody/a.b-c") == ("somebody/a.b-c", None)
    for wrong in ("hub:a", "hub:../b", "hub:a/b/c", "hub:/b"):
        with pytest.raises(ccigkit.UserError, match="is no model on a hub"):
            repository(wrong)
