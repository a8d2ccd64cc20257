"""Whatever happens in the middle of a training, what it has is kept, and it is said what happened."""

from __future__ import annotations

import csv
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partialmethod
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from ccigkit.causal.model import CausalModel
from ccigkit.commands import faults, train
from ccigkit.commands.config import Config
from ccigkit.commands.run import Run
from ccigkit.errors import CheckpointError, ConfigError, UserError, WriteError
from ccigkit.interfaces import Batch, Objective, Phase
from ccigkit.model import load_model
from ccigkit.training import checkpoints, interrupts, loop
from ccigkit.training.best import Best
from ccigkit.training.checkpoints import Checkpoints
from ccigkit.training.devices import set_random_state
from ccigkit.training.interrupts import STOPPED
from tests.helpers import SILENT, TINY, assert_same, ccigkit, environment, tiny

torch.set_num_threads(1)

STEPS, STOP = 6, 4
QUICK = ("objective.name=dear", "structure.name=known", "train.sample_every=0", "train.checkpoint_every=0")


@pytest.fixture(scope="module", autouse=True)
def _short() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CausalModel, "fit_mechanisms", partialmethod(CausalModel.fit_mechanisms, steps=5))
        patch.setattr(train, "save_graph", lambda *_: None)
        patch.setattr(train, "interventions_picture", lambda *_: None)
        yield


def config(*settings: str) -> Config:
    return tiny(*QUICK, f"train.steps={STEPS}", *settings)


def during(step: int, patch: pytest.MonkeyPatch, *happening: Callable[[], object]) -> None:
    """Let things happen in the middle of a step, when its first phase has been played."""
    play = loop.Training._play

    def played(self: loop.Training, phase: Phase, batch: Batch) -> dict[str, Tensor]:
        terms = play(self, phase, batch)
        if self.step_number == step - 1 and phase is self.phases[0]:
            for happens in happening:
                happens()
        return terms

    patch.setattr(loop.Training, "_play", played)


def state_of(run: Path) -> dict[str, Any]:
    state = Run(run).load_checkpoint()
    assert state is not None
    return state


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train.train(config(), folder, SILENT)
    return folder


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, stopped when step 4 was saved."""
    folder = tmp_path_factory.mktemp("runs") / "stopped"
    with pytest.MonkeyPatch.context() as patch:
        during(STOP, patch, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            train.train(config(), folder, SILENT)
    return folder


@pytest.fixture
def run(stopped: Path, tmp_path: Path) -> Path:
    """The stopped run, to spoil."""
    return Path(shutil.copytree(stopped, tmp_path / "run"))


def assert_ends_as(whole: Path, run: Path) -> None:
    """The same command goes on, and ends where the run that was never stopped did, to the last bit."""
    train.train(config(), run, SILENT)
    assert_same(state_of(whole), state_of(run), "checkpoint")
    assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def resume(run: Path, *settings: str) -> str:
    """What a training that goes on refuses with."""
    with pytest.raises(UserError) as refused:
        train.train(config(*settings), run, SILENT)
    return str(refused.value)


# --- checkpoints ------------------------------------------------------------------------------------------------------


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut short": lambda whole: whole[: len(whole) // 2],
    "bytes changed": lambda whole: whole[: len(whole) // 2] + b"\x55\xaa" * 8 + whole[len(whole) // 2 + 16 :],
}


def test_the_last_checkpoints_are_kept(run: Path) -> None:
    kept = Run(run).checkpoints
    assert [path.name for path in kept.paths] == ["checkpoint.pt", "checkpoint.1.pt", "checkpoint.2.pt"]
    assert [kept.read(path)["step"] for path in kept.paths] == [STOP, STOP - 1, STOP - 2]
    kept.save(state_of(run), keep=2)
    assert len(kept.paths) == 2


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_newest_falls_back_to_the_one_before(
    run: Path, whole: Path, damage: Callable[[bytes], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    newest = run / "checkpoint.pt"
    newest.write_bytes(damage(newest.read_bytes()))
    told: list[str] = []
    state = Run(run).resume(config(), told.append)
    assert state is not None
    assert state["step"] == STOP - 1
    assert "checkpoint.pt is damaged" in told[0]
    assert "goes on from the checkpoint before it" in told[0]
    assert (run / "checkpoint.damaged").is_file()
    assert_ends_as(whole, run)


def test_where_all_are_damaged_nothing_is_touched(run: Path) -> None:
    for path in Run(run).checkpoints.paths:
        path.write_bytes(b"")
    before = content(run)
    said = resume(run)
    assert all(f"{name} is damaged" in said for name in ("checkpoint.pt", "checkpoint.1.pt", "checkpoint.2.pt"))
    assert content(run) == before


def test_a_finished_model_is_not_written_over_by_another_configuration(run: Path) -> None:
    for path in Run(run).checkpoints.paths:
        path.unlink()
    before = content(run)
    assert "another configuration: scm.name" in resume(run, "scm.name=linear")
    assert content(run) == before
    told: list[str] = []
    assert Run(run).resume(config(), told.append) is None
    assert "has a model but no checkpoint: training begins anew" in told[0]


def test_a_checkpoint_of_another_run_is_refused(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    train.train(config("train.seed=5", "train.steps=1"), other, SILENT)
    shutil.copy(other / "checkpoint.pt", run / "checkpoint.pt")
    before = content(run)
    assert "is of another run: train.seed is 5 there and 0 here" in resume(run)
    assert content(run) == before


def test_fewer_steps_than_were_trained_are_refused(run: Path) -> None:
    before = content(run)
    assert f"is at step {STOP} already, and train.steps=2 is fewer" in resume(run, "train.steps=2")
    assert content(run) == before


@pytest.mark.parametrize("lost", ["graph.toml", "config.toml", "log.jsonl"])
def test_what_the_checkpoint_has_may_be_lost(run: Path, whole: Path, lost: str) -> None:
    (run / lost).unlink()
    assert_ends_as(whole, run)


def test_numbers_that_are_not_finite_are_neither_saved_nor_gone_on_from(run: Path, whole: Path) -> None:
    kept = Run(run).checkpoints
    ruined = state_of(run)
    next(t for t in ruined["averages"]["encoder"].values() if t.is_floating_point()).fill_(torch.inf)
    with pytest.raises(UserError, match=r"averages\.encoder\.\S+ is not finite"):
        kept.save(ruined)
    torch.save(ruined, run / "checkpoint.pt")
    assert state_of(run)["step"] == STOP - 1
    assert_ends_as(whole, run)


def test_other_versions_are_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = train.made_with
    monkeypatch.setattr(train, "made_with", lambda *given: made(*given) | {"torch": "9.9", "threads": "64"})
    done = ccigkit("train", "--config", run / "config.toml", "--run", run)
    assert done.code == 0, done.err
    assert f"step {STOP} was made with torch {torch.__version__.partition('+')[0]}" in done.out
    assert "now 9.9; threads 1, now 64: numbers may round otherwise" in done.out


def test_the_best_checkpoint_is_a_run_of_its_own(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train.train(config("train.best=encoder.supervision"), run, SILENT)
    logged = {entry["step"]: entry["encoder.supervision"] for entry in Run(run).read_log()}
    best = state_of(run / "best")
    assert best["best"]["term"] == "encoder.supervision"
    assert best["best"]["least"] == state_of(run)["best"]["least"] <= min(logged.values())
    assert load_model(run / "best").sample(1).isfinite().all()
    with pytest.raises(ConfigError, match=r"train.best: unknown term 'encoder.supervison': did you mean"):
        train.train(config("train.best=encoder.supervison"), tmp_path / "other", SILENT)


def test_best_is_the_least_mean_since_the_checkpoint_before() -> None:
    best = Best("a.b", {})
    improved = []
    for step, means in enumerate([[3.0, 1.0], [3.0], [1.0, 2.0], []]):
        for value in means:
            best.add({"a.b": value, "c.d": 0.0})
        improved.append(best.improved(step))
    assert improved == [True, False, True, False]
    assert Best("a.b", best.state()).least == 1.5
    assert Best("a.b", best.state()).step == 2
    assert Best("c.d", best.state()).least == float("inf")


# --- signals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1"])
def test_what_a_scheduler_sends_saves_and_has_a_code_of_its_own(
    name: str, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        number = getattr(signal, name)
        during(STOP, patch, lambda: signal.raise_signal(number))
        before = signal.signal(number, signal.SIG_DFL)  # a shell may have begun the tests with it ignored
        with pytest.raises(SystemExit) as left:
            train.train(config("train.checkpoint_every=1000"), tmp_path / "run", SILENT)
    signal.signal(number, before)
    assert left.value.code == STOPPED == 75
    assert state_of(tmp_path / "run")["step"] == STOP
    if name == "SIGTERM":
        state = state_of(tmp_path / "run")
        train.train(config("train.checkpoint_every=1000"), tmp_path / "run", SILENT)
        again = state_of(tmp_path / "run")
        assert again["step"] == STEPS > state["step"]
        assert (tmp_path / "run" / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_two_quick_presses_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    during(STOP, monkeypatch, *[lambda: signal.raise_signal(signal.SIGINT)] * 2)
    with pytest.raises(KeyboardInterrupt):
        train.train(config("train.checkpoint_every=1000"), tmp_path / "run", SILENT)
    assert state_of(tmp_path / "run")["step"] == STOP


def test_a_signal_during_a_save_ends_the_save(tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save, calls = torch.save, []

    def interrupted(state: Any, path: Path) -> None:
        calls.append(state["step"])
        if state["step"] == 2:
            signal.raise_signal(signal.SIGTERM)
        save(state, path)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.torch, "save", interrupted)
        with pytest.raises(SystemExit) as left:
            train.train(config(), tmp_path / "run", SILENT)
    assert left.value.code == STOPPED
    assert calls == [1, 2]
    assert state_of(tmp_path / "run")["step"] == 2
    assert not list((tmp_path / "run").glob(".*.tmp"))
    assert_ends_as(whole, tmp_path / "run")


def test_what_the_process_was_told_to_ignore_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup starts it
    try:
        with interrupts.interrupts() as interrupted:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupted()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_killed_and_started_again_ends_where_one_never_stopped_does(tmp_path: Path) -> None:
    """The short form of benchmarks/faults.py, in processes of their own."""
    spec = spec_from_file_location("faults", Path(__file__).parents[1] / "benchmarks" / "faults.py")
    assert spec is not None
    assert spec.loader is not None
    benchmark = module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    found = benchmark.compare(1, steps=60, every=0.2, seed=1, folder=tmp_path)
    assert found["same model, byte for byte"]
    assert found["same state, bit for bit"]
    assert found["left behind"] == []
    assert max(found["steps lost"]) <= found["most steps between checkpoints"]


# --- numbers that are not finite --------------------------------------------------------------------------------------


def test_divergence_is_named_and_can_be_looked_at(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("objective.rate=1e3", "--objective", "ccig", "--structure", "known", "train.checkpoint_every=0")
    said = ccigkit("train", "--data", "pendulum", *TINY, *words, "--steps", 50, "--run", run).refusal()
    evidence = torch.load(run / "diverged.pt", weights_only=True)
    step = evidence["step"]
    assert said.startswith(f"training diverged at step {step}: ")
    assert evidence["phase"] in ("model", "discriminator")
    assert evidence["bad"] in said
    assert f"rows {', '.join(map(str, evidence['rows'].tolist()))} of the table" in said
    assert evidence["image"].shape == (8, 3, 32, 32)
    kept = Run(run).checkpoints
    assert all(kept.read(path)["step"] < step for path in kept.paths)
    assert checkpoints.not_finite(evidence["state"]) == ""  # nothing was updated with it
    again = ccigkit("train", "--data", "pendulum", *TINY, *words, "--steps", 50, "--run", run).refusal()
    assert again == said  # to the last bit the same
    assert ccigkit("sample", run, "--out", tmp_path / "sample.png").code == 0


class Square(nn.Module):
    """One number, and its square."""

    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.tensor(3.0))


class Play(Objective):
    """One part and one phase, whose loss is given."""

    name = "play"

    def __init__(self, loss: Callable[[nn.Module, Batch], dict[str, Tensor]]) -> None:
        self.part, self.loss = Square(), loss

    def parts(self) -> dict[str, nn.Module]:
        return {"part": self.part}

    def rates(self) -> dict[str, float]:
        return {"part": 0.1}

    def phases(self) -> list[Phase]:
        return [Phase("only", ("part",), lambda batch: self.loss(self.part, batch))]


def training(loss: Callable[[Any, Batch], dict[str, Tensor]], **how: int) -> loop.Training:
    return loop.Training(Play(loss), steps=10, device=torch.device("cpu"), dtype=torch.float32, **how)


BATCH = Batch(torch.arange(8.0).reshape(8, 1, 1, 1), torch.zeros(8, 1))


def _distribution(part: Any, batch: Batch) -> dict[str, Tensor]:
    return {"fit": -torch.distributions.Normal(part.x * torch.nan, 1.0).log_prob(batch.attributes).mean()}


@pytest.mark.parametrize(
    ("loss", "bad"),
    [
        (lambda part, batch: {"one": part.x, "other": part.x / 0}, "only.other"),
        (lambda part, batch: {"root": (part.x - 3).abs().sqrt()}, "the gradient of only"),
        (_distribution, "what only gives a distribution"),
    ],
    ids=["term", "gradient", "distribution"],
)
def test_nothing_is_updated_with_what_is_not_finite(loss: Callable[[Any, Batch], dict[str, Tensor]], bad: str) -> None:
    begun = training(loss)
    with pytest.raises(loop.DivergedError, match="at step 1") as diverged:
        begun.step(BATCH)
    assert diverged.value.bad == bad
    assert float(begun.parts["part"].x.detach()) == 3.0
    evidence = diverged.value.evidence
    again = training(loss)
    again.load(evidence["state"])
    set_random_state(evidence["random"], again.device)
    with pytest.raises(loop.DivergedError) as repeated:
        again.step(Batch(evidence["image"], evidence["attributes"]))
    assert repeated.value.bad == bad


# --- memory -----------------------------------------------------------------------------------------------------------


def test_out_of_memory_names_the_batch_and_offers_accumulation(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(self: loop.Training, batch: Batch) -> dict[str, float]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "step", short)
        said = resume(run)
        assert "out of memory with train.batch=8 images" in said
        assert "train.accumulate=2 takes the batch in 2 parts" in said
        assert "nothing smaller can be trained" in resume(run, "train.accumulate=4")
    train.train(config("train.accumulate=2"), run, SILENT)  # goes on, as it was told to
    assert state_of(run)["step"] == STEPS
    with pytest.raises(ConfigError, match=r"train\.accumulate=5 leaves parts of train.batch=8"):
        train.train(config("train.accumulate=5"), run, SILENT)


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_a_batch_taken_in_parts_has_the_gradient_of_the_whole(parts: int) -> None:
    def loss(part: Any, batch: Batch) -> dict[str, Tensor]:
        return {"square": (part.x * batch.image).square().mean()}

    whole, shared = training(loss), training(loss, accumulate=parts)
    for one in (whole, shared):
        one.step(BATCH)
    gradients = [one.parts["part"].x.grad for one in (whole, shared)]
    weights = torch.tensor([len(share) for share in BATCH.image.tensor_split(parts)])
    tolerance = 1e-6 if len(weights.unique()) == 1 else 0.2  # parts of other sizes weigh the same
    assert torch.allclose(gradients[0], gradients[1], rtol=tolerance)


@pytest.mark.parametrize("objective", ["ccig", "dear"])
def test_both_objectives_can_be_accumulated(objective: str, tmp_path: Path) -> None:
    settings = (f"objective.name={objective}", "train.accumulate=2", "train.steps=2")
    train.train(config(*settings), tmp_path / "run", SILENT)
    assert load_model(tmp_path / "run").sample(1).isfinite().all()


# --- a full disk ------------------------------------------------------------------------------------------------------


def test_a_full_disk_pauses_checkpoints_and_says_so(run: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save, told = Checkpoints.save, []

    def full(self: Checkpoints, state: dict[str, Any], keep: int = 1) -> None:
        if state["step"] == STOP + 1:
            raise WriteError("cannot write checkpoint.pt: No space left on device")
        save(self, state, keep)

    monkeypatch.setattr(Checkpoints, "save", full)
    monkeypatch.setattr(train, "say", lambda console, *texts, **_: told.append("".join(map(str, texts))))
    train.train(config(), run, SILENT)
    assert any("Training goes on without checkpoints for 30 minutes at most" in line for line in told)
    assert_same(state_of(whole), state_of(run), "checkpoint")


def test_older_checkpoints_make_room(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, state = Run(run).checkpoints, state_of(run)
    size = kept.path().stat().st_size

    def usage(folder: Path) -> Any:
        free = int(3.5 * size) - sum(path.stat().st_size for path in kept.paths)
        return type("Usage", (), {"free": free})

    monkeypatch.setattr(checkpoints.shutil, "disk_usage", usage)
    kept.save(state | {"step": STOP + 1}, keep=3)
    assert [kept.read(path)["step"] for path in kept.paths] == [STOP + 1, STOP, STOP - 1][: len(kept.paths)]
    assert len(kept.paths) == 3
    kept.save(state | {"step": STOP + 2}, keep=9)
    assert [kept.read(path)["step"] for path in kept.paths] == [STOP + 2, STOP + 1, STOP]
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda _: type("Usage", (), {"free": -9 * size}))
    kept.save(state | {"step": STOP + 3}, keep=9)  # they would not be room enough, so they stay
    assert len(kept.paths) == 4


def test_a_full_disk_is_borne_for_so_long(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told = [0.0], []
    monkeypatch.setattr(faults.time, "monotonic", lambda: clock[0])
    disk = faults.Patience(60, told.append)

    def write(at: float) -> None:
        clock[0] = at
        with disk.bearing():
            raise WriteError("cannot write x: No space left on device")

    write(0)
    write(59)
    assert len(told) == 1
    disk.ended()
    assert told[1] == "checkpoints are written again"
    write(70)
    with pytest.raises(WriteError):
        write(130)


def test_a_line_that_a_full_disk_cut_short_costs_no_other(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.append_log({"step": 1, "a.b": 1.0})
    with run.log.open("a") as log:
        log.write('{"step": 2, "a.')
    run.append_log({"step": 3, "a.b": 3.0})
    assert [entry["step"] for entry in run.read_log()] == [1, 3]


# --- data that changed ------------------------------------------------------------------------------------------------

OWN = ("objective.name=dear", "train.sample_every=0", "train.checkpoint_every=0", "data.name=table", "data.size=16")


def write_own(folder: Path, n: int = 30) -> Path:
    """Grey squares with a table of how bright, how large and what shape."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    rows = []
    for i in range(n):
        bright, large, shape = draw.uniform(40, 220), draw.uniform(3, 14), draw.integers(2)
        picture = np.zeros((16, 16, 3), dtype=np.uint8)
        picture[: int(large), : int(large)] = int(bright)
        Image.fromarray(picture).save(folder / f"{i:02d}.bmp")
        rows.append({"file": f"{i:02d}.bmp", "bright": f"{bright:.3f}", "large": f"{large:.3f}", "shape": int(shape)})
    write_rows(folder, rows)
    return folder


def write_rows(folder: Path, rows: list[dict[str, Any]]) -> None:
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_rows(folder: Path) -> list[dict[str, Any]]:
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def own(folder: Path, *settings: str) -> Config:
    lies = (f'data.root="{folder / "data"}"', f'data.cache="{folder / "cache"}"')
    small = ("backbone.name=dcgan", "backbone.width=8", "train.batch=8", "train.device=cpu", "structure.name=notears")
    given = train_settings(*OWN, *lies, *small, "train.steps=2", *settings)
    return Config.resolve([("test", given)])


def train_settings(*settings: str) -> dict[str, dict[str, Any]]:
    from ccigkit.commands.config import parse_settings

    return parse_settings(settings)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, their cache, and a run of two steps on them."""
    folder = tmp_path_factory.mktemp("own")
    write_own(folder / "data")
    train.train(own(folder), folder / "run", SILENT)
    return folder


def _renamed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{("size" if name == "large" else name): cell for name, cell in row.items()} for row in rows]


def _swapped(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in ("file", "large", "bright", "shape")} for row in rows]


CHANGES: dict[str, tuple[Callable[[list[dict[str, Any]]], list[dict[str, Any]]], str]] = {
    "a label changed": (
        lambda rows: [
            {**row, "shape": 1 - int(row["shape"]) if i == 5 else row["shape"]} for i, row in enumerate(rows)
        ],
        "the values of shape are others",
    ),
    "rows reordered": (lambda rows: rows[::-1], "the rows are in another order"),
    "a row added": (lambda rows: [*rows, rows[0] | {"file": "more.bmp"}], "there were 27 rows and are 28"),
    "another unit": (
        lambda rows: [{**row, "large": float(row["large"]) * 100} for row in rows],
        "the values of large are others",
    ),
    "a column renamed": (_renamed, "the column large is now called size"),
    "columns swapped": (_swapped, "the columns were bright, large, shape and are large, bright, shape"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=CHANGES)
def test_data_that_changed_are_noticed(
    begun: Path, tmp_path: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], said: str
) -> None:
    folder = Path(shutil.copytree(begun, tmp_path / "own"))
    shutil.copy(folder / "data" / "00.bmp", folder / "data" / "more.bmp")
    write_rows(folder / "data", change(read_rows(folder / "data")))
    before = content(folder / "run")
    with pytest.raises(CheckpointError, match="the data changed since step 2 of ") as refused:
        train.train(own(folder, "train.steps=3"), folder / "run", SILENT)
    assert said in str(refused.value)
    assert content(folder / "run") == before


@pytest.mark.filterwarnings("ignore")
def test_an_image_that_was_replaced_is_noticed_and_data_that_moved_are_not_others(begun: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(begun, tmp_path / "own"))  # with other times, in another place
    shutil.rmtree(folder / "cache")
    train.train(own(folder, "train.steps=3"), folder / "run", SILENT)
    Image.fromarray(np.full((16, 16, 3), 99, dtype=np.uint8)).save(folder / "data" / "07.bmp")  # as many bytes
    Image.fromarray(np.full((16, 16, 3), 98, dtype=np.uint8)).save(folder / "data" / "08.bmp")
    with pytest.raises(CheckpointError, match="the images are others"):
        train.train(own(folder, "train.steps=4"), folder / "run", SILENT)


# --- what draws at random ---------------------------------------------------------------------------------------------


def test_plugins_that_draw_from_python_or_numpy_are_reproducible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[int, float, float]] = []
    step = loop.Training.step

    def drawing(self: loop.Training, batch: Batch) -> dict[str, float]:
        terms = step(self, batch)
        drawn.append((self.step_number, random.random(), np.random.rand()))
        return terms

    monkeypatch.setattr(loop.Training, "step", drawing)
    for name in ("one", "other"):
        train.train(config("train.steps=3"), tmp_path / name, SILENT)
    assert drawn[:3] == drawn[3:]
    train.train(config("train.steps=3", "train.seed=7"), tmp_path / "seven", SILENT)
    assert drawn[6:] != drawn[:3]
    drawn.clear()
    train.train(config("train.steps=6"), tmp_path / "six", SILENT)
    whole = list(drawn)
    drawn.clear()
    with monkeypatch.context() as patch:
        during(STOP, patch, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            train.train(config(), tmp_path / "halves", SILENT)
    random.seed(99)
    np.random.seed(99)
    train.train(config(), tmp_path / "halves", SILENT)
    assert drawn == whole


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_log_may_hold_anything(run: Path, whole: Path) -> None:
    with (run / "log.jsonl").open("ab") as log:
        log.write(b'3\n\xff\xfe\n[1]\n{"step": "x"}\n{"a": 1}\n')
    assert [entry["step"] for entry in Run(run).read_log()] == [1]
    assert_ends_as(whole, run)


def test_a_fault_of_the_disk_at_the_last_moment_keeps_the_checkpoint(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = state_of(run)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError):
        Run(run).checkpoints.save(state, 3)
    assert_same(state, state_of(run))


def test_a_signal_before_the_first_step_exits_with_75_and_a_word(tmp_path: Path) -> None:
    """A process is asked to stop in several places while it prepares; the same command then trains."""
    words = ("train", "--data", "pendulum", *TINY, "structure.name=known", "train.steps=2", "--run", tmp_path / "run")
    held = "from ccigkit.commands import train as t\nimport os, signal, sys\n"
    for place in ("learn_graph", "assemble"):
        code = (
            f"{held}t.{place} = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
            "from ccigkit.commands.app import main\nmain()"
        )
        run = [sys.executable, "-c", code, *map(str, words)]
        done = subprocess.run(run, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 75, done.stderr
        assert done.stderr.startswith("ccigkit: stopping at SIGTERM"), done.stderr
    assert ccigkit(*words).code == 0
