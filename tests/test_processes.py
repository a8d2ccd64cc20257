"""Several processes train one model as one process would."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from functools import partialmethod
from pathlib import Path

import pytest
import torch

from ccigkit.causal.model import CausalModel
from ccigkit.commands.run import Run
from ccigkit.commands.train import check_batch
from ccigkit.errors import ConfigError
from ccigkit.interfaces import Objective
from ccigkit.training.processes import ALONE, Team, join, launched
from tests.helpers import TINY, environment, process, tiny
from tests.together import CASES, STEPS, trained

HOUSE = Path(__file__).parents[1]
fabric = pytest.mark.skipif(not importlib.util.find_spec("lightning_fabric"), reason="needs lightning-fabric")


@fabric
def test_two_processes_give_the_losses_of_one_with_all_of_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "two.json"
    subprocess.run(
        [sys.executable, "-m", "tests.together", str(file), "2"], cwd=HOUSE, env=environment(), check=True, timeout=900
    )
    monkeypatch.setattr(CausalModel, "fit_mechanisms", partialmethod(CausalModel.fit_mechanisms, steps=5))
    found = json.loads(file.read_text())
    assert {tiny(*settings)["objective"].name for settings in CASES.values()} == {
        one.name for one in Objective.__subclasses__()[0].__subclasses__()
    }
    for case, settings in CASES.items():
        assert found[case]["same"], f"{case}: both processes end with the same weights and statistics"
        alone, _ = trained(settings, ALONE)
        assert len(alone) == STEPS
        for step, (one, two) in enumerate(zip(alone, found[case]["terms"], strict=True)):
            assert two == pytest.approx(one, rel=1e-4, abs=1e-4), f"{case}, step {step + 1}"


@fabric
def test_one_process_goes_on_from_what_two_began_and_back(tmp_path: Path) -> None:
    words = ("--data", "pendulum", *TINY, "train.batch=16", "structure.name=known", "--run", "run")
    for steps, count in ((6, 2), (12, 1), (18, 2)):
        done = process("train", *words, "--steps", steps, f"train.processes={count}", folder=tmp_path)
        assert done.code == 0, done.err
        assert (steps == 6) == ("going on from step" not in done.out)
    log = {entry["step"]: entry["model.supervision"] for entry in Run(tmp_path / "run").read_log()}
    assert {6, 7, 12, 13, 18} <= log.keys()
    for before, after in ((6, 7), (12, 13)):
        assert log[after] == pytest.approx(log[before], rel=0.5), log
    assert log[18] < log[6] < log[1]


def test_a_batch_is_shared_without_repeats_its_halves_staying_halves() -> None:
    rows = torch.randperm(12)
    shares = [Team(rank, 3).share(rows) for rank in range(3)]
    assert sorted(torch.cat(shares).tolist()) == list(range(12))
    assert {int(row) for share in shares for row in share[:2]} == set(rows[:6].tolist())


def test_a_batch_that_cannot_be_shared_equally_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be shared equally by 3 processes; take 9"):
        check_batch(tiny("train.processes=3"))
    with pytest.raises(ConfigError, match="fewer than two images"):
        check_batch(tiny("train.processes=8"))


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, (1, 1, "")),
        ({"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}, (4, 2, "torchrun")),
        ({"SLURM_STEP_NUM_TASKS": "6", "SLURM_STEP_NUM_NODES": "3", "SLURM_NTASKS": "6"}, (2, 3, "srun")),
        ({"SLURM_NTASKS": "6", "SLURM_JOB_NAME": "batch"}, (1, 1, "")),  # no srun: nobody else would come
    ],
)
def test_the_launcher_says_how_many_there_are(
    known: dict[str, str], expected: tuple[int, int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    assert launched() == expected


def test_without_fabric_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(ConfigError, match=r"pip install 'ccigkit\[processes\]'"):
        join(2, "cpu")
    with pytest.raises(ConfigError, match="one device, and 2 processes need cpu or cuda"):
        join(2, "cuda:1")
    assert join(1, "cpu") is ALONE
