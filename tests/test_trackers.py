"""Trackers are told what the log has, and one that fails harms no training."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest

from ccigkit.testing import check
from ccigkit.trackers.hosted import Trackio, WandB
from ccigkit.training import tracker as tracking_module
from tests.helpers import TINY
from tests.helpers import ccigkit as command

WORDS = ("train", "--data", "pendulum", "--structure", "known", "--scm", "linear", *TINY, "--run")
FAILING = '''
    from ccigkit.interfaces import Tracker


    class Failing(Tracker):
        """One whose server is away."""

        name = "failing"

        def log(self, step, terms):
            raise ConnectionError("nobody answers")
'''


def test_tensorboard_has_what_the_log_has_across_a_resumption(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for steps in (1, 2):
        done = command(*WORDS, tmp_path / "run", "--steps", steps, "--track", "tensorboard")
        assert done.code == 0, done.err
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    logged = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in logged] == [1, 2]
    names = set(logged[0]) - {"step", "images_per_second"}
    assert {tag.replace("/", ".", 1) for tag in events.Tags()["scalars"]} == names | {"images_per_second"}
    for name in names:
        written = {event.step: event.value for event in events.Scalars(name.replace(".", "/", 1))}
        for entry in logged:
            assert written[entry["step"]] == pytest.approx(entry[name], rel=1e-6)


def test_a_missing_library_is_said_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking_module, "find_spec", lambda name: None)
    said = command(*WORDS, tmp_path / "run", "--track", "wandb").refusal()
    assert said == "--track wandb needs wandb: pip install 'ccigkit[wandb]'"
    assert not (tmp_path / "run").exists()
    assert (
        "unknown tracker 'tensorbord': did you mean 'tensorboard'?"
        in command(*WORDS, tmp_path / "run", "--track", "tensorbord").refusal()
    )


def test_a_tracker_that_fails_is_said_once_and_training_goes_on(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(dedent(FAILING))
    plugged = ("--plugin", tmp_path / "failing.py", "--track", "failing")
    done = command(*WORDS, tmp_path / "run", "--steps", 2, *plugged)
    assert done.code == 0, done.err
    assert done.err.count("failing takes no more from step 1 on: ConnectionError: nobody answers") == 1
    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert 'track = [\n    "failing",\n]' in (tmp_path / "run" / "config.toml").read_text()


@pytest.mark.parametrize("tracker", [WandB, Trackio])
def test_the_hosted_ones_call_their_libraries_as_these_are_called(
    tracker: type[WandB | Trackio], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against stand-ins: the libraries themselves are not installed here."""
    calls: list[tuple[str, Any]] = []

    def log(terms: Mapping[str, float], *, step: int) -> None:
        calls.append(("log", (step, dict(terms))))

    stand_in = SimpleNamespace(
        init=lambda **given: calls.append(("init", given)), log=log, finish=lambda: calls.append(("finish", None))
    )
    monkeypatch.setitem(sys.modules, tracker.name, stand_in)
    monkeypatch.setattr(tracking_module, "find_spec", lambda name: name)
    check(tracker)
    assert [name for name, _ in calls] == ["init", "log", "log", "finish", "init", "log", "finish"]
    assert calls[1][1] == (1, {"model.reconstruction": 1.0, "discriminator.pairs": 0.5})
    assert calls[0][1]["config"] == {"train.seed": 0}
