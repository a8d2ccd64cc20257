"""Stopped anywhere, by anything, a training goes on as if it never had been."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partialmethod
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ccigkit.causal.model import CausalModel
from ccigkit.commands import train
from ccigkit.commands.graph import learn_graph
from ccigkit.commands.run import Run
from ccigkit.data.drawn.faces import Faces
from ccigkit.interfaces import Batch, Phase
from ccigkit.model import load_model
from ccigkit.objectives import ccig
from ccigkit.training import loop
from ccigkit.training.batches import batch_rows
from ccigkit.training.interrupts import interrupts
from tests.helpers import SILENT, TINY, assert_same, ccigkit, command, environment, tiny

torch.set_num_threads(1)

STEPS, STOP = 7, 4
QUICK_GAE = ("structure.name=gae", "structure.rounds=2", "structure.steps=20")
LABELS = ("data.name=faces", "data.labels=hard", "structure.name=known", "scm.name=mixed")
TRAININGS = {
    "ccig, freeze": ("objective.name=ccig", "train.schedule=freeze"),
    "ccig, finetune": ("objective.name=ccig", "train.schedule=finetune"),
    "ccig, joint notears": ("objective.name=ccig", "structure.name=notears", "train.schedule=joint"),
    "ccig, joint dagma": ("objective.name=ccig", "structure.name=dagma", "train.schedule=joint"),
    "ccig, joint golem": ("objective.name=ccig", "structure.name=golem", "train.schedule=joint"),
    "ccig, joint gae": ("objective.name=ccig", "train.schedule=joint", *QUICK_GAE),
    "ccig, resnet, linear": ("objective.name=ccig", "scm.name=linear", "backbone.name=resnet", "backbone.width=8"),
    "ccig, labels": ("objective.name=ccig", *LABELS),
    "ccig, labels, joint": (
        "objective.name=ccig",
        *LABELS[:2],
        "structure.name=boss",
        "train.schedule=joint",
        "data.n=60",
    ),
    "ccig, labels, joint golem": (
        *("objective.name=ccig", *LABELS[:2], "structure.name=golem", "train.schedule=joint", "data.n=60"),
    ),
    "dear, freeze": ("objective.name=dear", "train.schedule=freeze"),
    "dear, finetune": ("objective.name=dear", "train.schedule=finetune"),
    "dear, joint notears": ("objective.name=dear", "structure.name=notears", "train.schedule=joint"),
    "dear, joint gae": ("objective.name=dear", "train.schedule=joint", *QUICK_GAE),
    "bfloat16": ("objective.name=ccig", "train.precision=bfloat16"),
}


@pytest.fixture(scope="module", autouse=True)
def _short() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CausalModel, "fit_mechanisms", partialmethod(CausalModel.fit_mechanisms, steps=5))
        patch.setattr(train, "save_graph", lambda *_: None)
        yield


def press_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C in the middle of a step, when its first phase has been played."""
    play = loop.Training._play

    def pressing(self: loop.Training, phase: Phase, batch: Batch) -> dict[str, Tensor]:
        terms = play(self, phase, batch)
        if self.step_number == step - 1 and phase is self.phases[0]:
            signal.raise_signal(signal.SIGINT)
        return terms

    patch.setattr(loop.Training, "_play", pressing)


def terms(run: Path) -> dict[int, dict[str, float]]:
    """What was logged, by step, but for the clock's part in it."""
    entries = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    steps = [entry.pop("step") for entry in entries]
    assert steps == sorted(set(steps))
    return dict(zip(steps, ({k: v for k, v in e.items() if k != "images_per_second"} for e in entries), strict=True))


def assert_same_run(a: Path, b: Path) -> None:
    one, other = Run(a).load_checkpoint(), Run(b).load_checkpoint()
    assert one is not None
    assert_same(one, other, "checkpoint")
    assert_same(load_file(a / "model.safetensors"), load_file(b / "model.safetensors"), "model")
    assert (a / "graph.toml").read_text() == (b / "graph.toml").read_text()
    mine, theirs = terms(a), terms(b)
    assert max(mine) == max(theirs) == STEPS
    assert all(mine[step] == theirs[step] for step in mine.keys() & theirs.keys())


@pytest.mark.parametrize("settings", TRAININGS.values(), ids=TRAININGS)
def test_stop_and_resume_is_never_having_stopped(
    settings: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "train.schedule=joint" in settings:  # the multipliers move every 200 steps: here, at every second
        tighten = ccig.CCIG.between
        monkeypatch.setattr(ccig.CCIG, "between", lambda self, step: tighten(self, step * 100))
    config = tiny(*settings, f"train.steps={STEPS}", "train.sample_every=3")
    train.train(config, tmp_path / "whole", SILENT)
    with monkeypatch.context() as patch:
        press_at(STOP, patch)
        with pytest.raises(KeyboardInterrupt):
            train.train(config, tmp_path / "halves", SILENT)
    state = Run(tmp_path / "halves").load_checkpoint()
    assert state is not None
    assert state["step"] == STOP  # the step that Ctrl-C fell into was played to its end
    torch.manual_seed(99)  # whatever happened in between
    random.seed(99)
    train.train(config, tmp_path / "halves", SILENT)
    assert_same_run(tmp_path / "whole", tmp_path / "halves")


def test_a_graph_is_learned_again_alike_where_training_stopped_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(*TRAININGS["ccig, labels, joint"], f"train.steps={STEPS}")
    model = train.train(config, tmp_path / "whole", SILENT)
    table = Faces(n=60, labels="hard").table()
    assert model.graph.edges != learn_graph(config, table, Faces.knowledge).graph.edges  # so it was, half-way
    with monkeypatch.context() as patch:
        press_at(STEPS // 2 - 1, patch)
        with pytest.raises(KeyboardInterrupt):
            train.train(config, tmp_path / "halves", SILENT)
    train.train(config, tmp_path / "halves", SILENT)
    assert_same_run(tmp_path / "whole", tmp_path / "halves")


def test_joint_multipliers_travel_with_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccig.CCIG, "between", lambda self, step: self.model.structure.learner.tighten())
    train.train(tiny("train.schedule=joint", "train.steps=2", *QUICK_GAE), tmp_path / "run", SILENT)
    state = Run(tmp_path / "run").load_checkpoint()
    assert state is not None
    learner = state["parts"]["structure"]
    assert learner.keys() >= {f"learner.{name}" for name in ("weights", "alpha", "rho", "last", "allowed", "needed")}
    assert torch.isfinite(learner["learner.last"])
    assert float(learner["learner.rho"]) >= 1


def test_more_steps_go_on_from_the_last(tmp_path: Path) -> None:
    train.train(tiny("train.steps=2"), tmp_path / "run", SILENT)
    first = terms(tmp_path / "run")
    train.train(tiny("train.steps=5"), tmp_path / "run", SILENT)
    assert terms(tmp_path / "run").keys() == {1, 2, 3, 5}
    assert {step: terms(tmp_path / "run")[step] for step in first} == first


def test_a_run_broken_off_before_its_first_checkpoint_begins_anew(tmp_path: Path) -> None:
    config = tiny(f"train.steps={STEPS}")
    train.train(config, tmp_path / "whole", SILENT)
    shutil.copytree(tmp_path / "whole", tmp_path / "broken")
    for name in ("checkpoint.pt", "model.safetensors", "model.json"):
        (tmp_path / "broken" / name).unlink()
    with (tmp_path / "broken" / "log.jsonl").open("a") as log:
        log.write('{"step": 5, "model.su')  # cut off in the middle of a line
    train.train(config, tmp_path / "broken", SILENT)
    assert_same_run(tmp_path / "whole", tmp_path / "broken")


def test_every_batch_is_a_function_of_seed_and_step() -> None:
    n, size = 10, 4
    rows = torch.cat([batch_rows(n, size, step, seed=1) for step in range(10)])
    for epoch in range(4):  # whatever the batches, every epoch shows every row once
        assert sorted(rows[epoch * n : (epoch + 1) * n].tolist()) == list(range(n))
    assert batch_rows(n, size, 7, seed=1).tolist() == batch_rows(n, size, 7, seed=1).tolist()
    assert batch_rows(n, 25, 3, seed=1).shape == (25,)


def test_a_second_interrupt_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    with interrupts() as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted() == signal.SIGINT
        signal.raise_signal(signal.SIGINT)  # as quick as this it is the same press
        monkeypatch.setattr("ccigkit.training.interrupts.GRACE", 0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    before = signal.getsignal(signal.SIGINT)
    with interrupts():
        pass
    assert signal.getsignal(signal.SIGINT) is before


# --- in a process of its own ------------------------------------------------------------------------------------------

LONG = ("train", "--data", "pendulum", *TINY, "--objective", "dear", "--structure", "known", "train.sample_every=0")


def start(run: Path, *settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*LONG, "--steps", 100_000, "--run", run, *settings),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job may ignore it
    )


def wait_for(found: Callable[[], bool], running: subprocess.Popen[str], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


@pytest.fixture
def killed_after(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start processes that do not outlive the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*settings: str) -> subprocess.Popen[str]:
        started.append(start(tmp_path / "run", *settings))
        return started[-1]

    yield begin
    for running in started:
        with suppress(ProcessLookupError):
            running.kill()
        running.communicate()


def test_ctrl_c_saves_and_the_same_command_goes_on(
    tmp_path: Path, killed_after: Callable[..., subprocess.Popen[str]]
) -> None:
    running, run = killed_after(), tmp_path / "run"
    wait_for((run / "log.jsonl").is_file, running)
    wait_for(lambda: (run / "log.jsonl").stat().st_size > 0, running)
    assert not (run / "checkpoint.pt").exists()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 130
    assert err == ""
    state = Run(run).load_checkpoint()
    assert state is not None
    assert state["step"] >= 1
    assert f"saving step {state['step']}; the same command goes on" in " ".join(out.split())
    load_model(run).sample(1)
    done = ccigkit(*LONG, "--steps", state["step"] + 2, "--run", run)
    assert done.code == 0, done.err
    assert f"going on from step {state['step']}" in done.out


def test_kill_minus_nine_leaves_a_run_that_goes_on(
    tmp_path: Path, killed_after: Callable[..., subprocess.Popen[str]]
) -> None:
    run, moment, reached = tmp_path / "run", random.Random(0), 0
    for _ in range(2):
        begun = (run / "checkpoint.pt").stat().st_mtime_ns if (run / "checkpoint.pt").exists() else 0
        running = killed_after("train.checkpoint_every=0")  # it saves at every step, so mostly it is killed saving
        wait_for(lambda since=begun: _younger(run / "checkpoint.pt", since), running)  # type: ignore[misc]
        time.sleep(moment.uniform(0, 0.5))
        running.kill()
        running.communicate()
        state = Run(run).load_checkpoint()
        assert state is not None
        assert state["step"] > reached
        reached = state["step"]
        if (run / "model.safetensors").exists():
            load_model(run).sample(1)
    done = ccigkit(*LONG, "train.checkpoint_every=0", "--steps", reached + 2, "--run", run)
    assert done.code == 0, done.err
    assert f"going on from step {reached}" in done.out
    assert list(terms(run))[-1] == reached + 2
    assert not list(run.glob(".*.tmp"))


def _younger(path: Path, since: int) -> bool:
    return path.exists() and path.stat().st_mtime_ns > since
