"""A search chooses options by what came of those before, whatever becomes of its workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from ccigkit.commands.grid import configured, counted, lay_out, overview, work
from ccigkit.commands.search import JOURNAL, Search
from ccigkit.commands.trial import Trial, trials
from ccigkit.errors import ConfigError
from tests.helpers import ccigkit, environment
from tests.test_grid import SMALL

optuna = pytest.importorskip("optuna")

RANGES = """
[search]
maximise = "model.height"
trials = 16
"train.ema" = { low = 0.0, high = 0.9 }
"train.batch" = { low = 8, high = 32, step = 8 }
"scm.name" = ["linear", "nonlinear"]
[data]
name = "pendulum"
"""
# Stands in for ccigkit: the higher, the nearer ema is to 0.6 and the smaller the batch; three tenths of a second each.
STAND_IN = """
import json, sys, time, pathlib, tomllib
from filelock import FileLock
run = pathlib.Path(sys.argv[sys.argv.index("--run") + 1])
train = tomllib.loads(pathlib.Path(sys.argv[sys.argv.index("--config") + 1]).read_text())["train"]
run.mkdir(exist_ok=True)
with FileLock(run / ".lock", timeout=0):
    with (run.parent / "diary").open("a") as file:
        file.write(run.name + "\\n")
    time.sleep(0.3)
    height = -(train["ema"] - 0.6) ** 2 - train["batch"] / 100
    (run / "log.jsonl").write_text(json.dumps({"step": 1, "model.height": height}) + "\\n")
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    """A worker in a session of its own, whose trainings are the stand-in."""
    code = (
        "import sys; from pathlib import Path; from ccigkit.commands.grid import work;"
        "work(Path(sys.argv[1]), (sys.executable, '-c', sys.argv[2]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), STAND_IN], env=environment(), start_new_session=True
    )


def study(folder: Path) -> optuna.Study:
    """What the journal holds."""
    backend = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL))
    return optuna.load_study(study_name="search", storage=optuna.storages.JournalStorage(backend))


def test_two_workers_search_and_a_restart_goes_on(tmp_path: Path) -> None:
    file, folder = tmp_path / "s.toml", tmp_path / "out"
    file.write_text(RANGES)
    lay_out(file, folder)
    both, deadline = [start(folder), start(folder)], time.monotonic() + 120
    while sum(trial.ended is not None for trial in trials(folder)) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for worker in both:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    before = {trial.name: trial.ended for trial in trials(folder) if trial.ended}
    assert len(before) < 16
    lay_out(file, folder)  # as the command does when it is started again
    both = [start(folder), start(folder)]
    assert [worker.wait(timeout=300) for worker in both] == [0, 0]
    assert counted(folder) == "16 done, 0 failed, 0 training, 0 waiting"
    assert all(Trial(folder, name).ended == ended for name, ended in before.items()), "none was trained anew"
    names = (folder / "diary").read_text().split()
    assert set(names) == {trial.name for trial in trials(folder)}
    assert len(names) <= 18, "only what was being trained when the workers were killed was begun twice"
    found = study(folder)
    told = [one for one in found.trials if one.value is not None]
    assert len(told) == 16
    for trial in trials(folder):
        train = tomllib.loads(trial.config.read_text())["train"]
        chosen = next(one for one in told if one.number == int(trial.name[:3]))
        assert (chosen.params["train.batch"], chosen.params["train.ema"]) == (train["batch"], train["ema"])
        assert chosen.value == pytest.approx(-((train["ema"] - 0.6) ** 2) - train["batch"] / 100)
    first = sorted(told, key=lambda one: one.number)[:4]
    assert found.best_value > max(one.value for one in first if one.value is not None)
    best = f"{found.best_trial.number:03d}"
    assert str(next(iter(overview(folder).columns[0].cells)))[:3] == best
    file.write_text(RANGES.replace("trials = 16", "trials = 17"))
    lay_out(file, folder)
    work(folder, (sys.executable, "-c", STAND_IN))
    assert counted(folder).startswith("17 done")
    file.write_text(RANGES.replace("0.9", "0.8"))
    with pytest.raises(ConfigError, match="holds another search"):
        lay_out(file, folder)


@pytest.mark.parametrize("target", ["held-out.psnr", "composition.psnr"])
def test_the_command_searches_by_a_term_or_a_metric(target: str, tmp_path: Path) -> None:
    file, folder = tmp_path / "s.toml", tmp_path / "out"
    search = f'[search]\nmaximise = "{target}"\ntrials = 2\n"train.ema" = {{ low = 0.0, high = 0.15 }}\n'
    small = SMALL.replace('[grid]\n"train.seed" = [0, 1]\n', search).replace("watch_every = 0", "watch_every = 2")
    file.write_text(small)
    done = ccigkit("grid", file, "--out", folder)
    assert done.code == 0, done.out + done.err
    assert target in done.out
    values = [(trial.ended or {})["value"] for trial in trials(folder)]
    assert len(values) == 2
    assert len(set(values)) == 2
    assert all(0 < value < 100 for value in values)


def test_a_search_says_what_it_lacks(tmp_path: Path) -> None:
    good = tomllib.loads(RANGES)
    for change, said in (
        ({"minimise": "a.b"}, "needs maximise or minimise"),
        ({"trials": 0}, "needs the number of trials"),
        ({"sede": 1}, "unknown key 'sede': did you mean 'seed'"),
        ({"train.ema": {"low": 1}}, "must be a list of values"),
        ({"train.ema": {"low": 1.0, "high": 0.0}}, "must be a list of values"),
    ):
        with pytest.raises(ConfigError, match=said):
            Search.of({**good, "search": {**good["search"], **change}}, "s.toml")
    file = tmp_path / "s.toml"
    file.write_text(RANGES.replace("train.ema", "train.em"))
    assert "unknown option of train: 'em'" in ccigkit("grid", file, "--out", tmp_path / "out").refusal()
    trial = Trial(tmp_path, "000")
    trial.run.mkdir()
    (trial.run / "log.jsonl").write_text('{"step": 1, "model.hight": 1}\n')
    with pytest.raises(ConfigError, match=r"unknown term 'model.height': did you mean 'model.hight'"):
        Search.of(good, "s.toml").value(trial, {})
    name, config = configured(good, {"train.batch": 8, "train.ema": 1 / 3, "scm.name": "linear"}, "s.toml")
    assert name == "batch=8,ema=0.3333,scm.name=linear"
    assert config.train.ema == 1 / 3
