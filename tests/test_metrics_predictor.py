"""The attribute predictor: trained by a command of its own, kept, and used by what measures."""

from __future__ import annotations

from inspect import signature
from pathlib import Path

import pytest

from ccigkit.commands.app import predictor as command
from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.metrics.readers.predictor import STEPS, predictor
from tests.helpers import ccigkit

DATA = ("--data", "pendulum", "data.n=60", "data.size=32")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "ccigkit" / "predictors"


def test_it_is_trained_once_and_says_how_well_it_reads(cache: Path) -> None:
    first, again = (ccigkit("predictor", *DATA, "--steps", 2) for _ in range(2))
    assert first.code == again.code == 0, first.err
    assert "trained in" in first.out
    assert "kept from before" in again.out
    for name in ("angle", "light", "length", "position", "12 test images"):
        assert name in first.out
    assert first.out.split("how well")[1] == again.out.split("how well")[1]
    [kept] = cache.iterdir()
    assert kept.stem in first.out


def test_what_evaluate_uses_is_what_the_command_has_kept(cache: Path) -> None:
    assert ccigkit("predictor", *DATA, "--steps", 2).code == 0

    def retrained() -> None:
        raise AssertionError("trained again")

    read = predictor(Pendulum(n=60, size=32), steps=2, step_done=retrained)
    assert (cache / f"{read.fingerprint}.safetensors").is_file()
    assert predictor(Pendulum(n=60, size=32), steps=3).fingerprint != read.fingerprint
    assert predictor(Pendulum(n=60, size=32, seed=1), steps=2).fingerprint != read.fingerprint


def test_the_command_trains_as_long_as_metrics_do() -> None:
    assert signature(command).parameters["steps"].default == STEPS


def test_a_damaged_file_is_trained_anew(cache: Path) -> None:
    ccigkit("predictor", *DATA, "--steps", 2)
    [kept] = cache.iterdir()
    kept.write_bytes(b"not a network")
    done = ccigkit("predictor", *DATA, "--steps", 2)
    assert done.code == 0, done.err
    assert "trained in" in done.out
    assert "kept from before" in ccigkit("predictor", *DATA, "--steps", 2).out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "pendulun"], "did you mean 'pendulum'"),
        ([*DATA, "data.sice=32"], "did you mean 'size'"),
        ([*DATA, "--steps", 0], "--steps"),
        (["--data", "celeba", "data.root=/nowhere"], "/nowhere"),
    ],
)
def test_a_mistake_is_one_line(words: list[object], said: str) -> None:
    done = ccigkit("predictor", *words)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1
