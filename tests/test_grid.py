"""Grids: every trial once to its end, whatever becomes of the workers."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ccigkit.causal.attributes import Attribute, Table
from ccigkit.causal.evidence import Evidence
from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.commands.grid import configurations, counted, lay_out, on_ray, on_submitit, work
from ccigkit.commands.run import Run
from ccigkit.commands.trial import Trial, trials
from ccigkit.errors import ConfigError
from ccigkit.structure.kept import kept_graph, key_of
from tests.helpers import ccigkit, environment

GRID = """
[data]
name = "pendulum"
[grid]
"scm.name" = ["linear", "nonlinear"]
"objective.name" = ["ccig", "dear"]
"train.seed" = [0, 1, 2, 3]
[[except]]
"scm.name" = "linear"
"objective.name" = "dear"
"""
SMALL = """
[grid]
"train.seed" = [0, 1]
[structure]
name = "known"
[train]
batch = 8
steps = 2
device = "cpu"
sample_every = 0
watch_every = 0
[data]
name = "pendulum"
n = 60
size = 16
[backbone]
name = "dcgan"
width = 8
"""
# Stands in for ccigkit: 10 steps of a tenth of a second with a checkpoint each, and a diary of what it began and ended.
STAND_IN = """
import sys, time, pathlib
from filelock import FileLock
run = pathlib.Path(sys.argv[sys.argv.index("--run") + 1])
run.mkdir(exist_ok=True)
diary = run.parent / "diary"
def note(what):
    with diary.open("a") as file:
        file.write(what + " " + run.name + "\\n")
with FileLock(run / ".lock", timeout=0):
    saved = run / "saved"
    step = int(saved.read_text()) if saved.exists() else 0
    note(f"from {step}")
    if "dear" in run.name and "seed=3" in run.name:
        sys.exit("no such luck")
    while step < 10:
        time.sleep(0.1)
        step += 1
        saved.write_text(str(step))
    note("end")
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    """A worker in a session of its own, whose trainings are the stand-in."""
    code = (
        "import sys; from pathlib import Path; from ccigkit.commands.grid import work;"
        "work(Path(sys.argv[1]), (sys.executable, '-c', sys.argv[2]))"
    )
    words = [sys.executable, "-c", code, str(folder), STAND_IN]
    return subprocess.Popen(words, env=environment(), start_new_session=True)


def test_two_workers_end_every_trial_once_though_one_is_killed(tmp_path: Path) -> None:
    file, folder = tmp_path / "grid.toml", tmp_path / "out"
    file.write_text(GRID)
    lay_out(file, folder)
    assert len(trials(folder)) == 12
    first, second = start(folder), start(folder)
    diary, deadline = folder / "diary", time.monotonic() + 120
    while sum(path.read_text() in set("23456") for path in folder.glob("*/saved")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)  # until both workers are in the middle of a training
    os.killpg(first.pid, signal.SIGKILL)
    assert second.wait(timeout=300) == 0
    lines = diary.read_text().splitlines()
    well = [trial for trial in trials(folder) if trial.state == "done"]
    assert len(well) == 11
    (failed,) = (trial for trial in trials(folder) if trial not in well)
    assert failed.state == "failed: no such luck (exit code 1)"
    assert sorted(line for line in lines if line.startswith("end")) == sorted(f"end {trial.name}" for trial in well)
    again = [line for line in lines if line.startswith("from") and not line.startswith("from 0")]
    assert len(again) == 1, "the lost trial went on from its checkpoint, and no other was begun twice"
    assert counted(folder) == "11 done, 1 failed, 0 training, 0 waiting"
    work(folder, ("no such command",))  # all has ended: nothing is trained


def test_a_grid_is_every_combination_but_those_left_out(tmp_path: Path) -> None:
    content = {"grid": {"train.batch": [8, 16], "train.seed": [0, 1]}, "except": [{"train.batch": 8, "train.seed": 1}]}
    found = configurations(content, "g.toml")
    assert list(found) == ["batch=8,seed=0", "batch=16,seed=0", "batch=16,seed=1"]
    assert found["batch=16,seed=1"].train.batch == 16
    with pytest.raises(ConfigError, match=r"unknown key of the grid 'train\.sede': did you mean 'train\.seed'"):
        configurations({**content, "except": [{"train.sede": 1}]}, "g.toml")
    file = tmp_path / "g.toml"
    file.write_text(SMALL)
    lay_out(file, tmp_path / "out")
    file.write_text(SMALL.replace("steps = 2", "steps = 3"))
    with pytest.raises(ConfigError, match="of another grid; choose another --out"):
        lay_out(file, tmp_path / "out")
    assert "needs a table" in ccigkit("grid", tmp_path / "out" / "seed=0.toml").refusal()
    assert "unknown engine 'rya': did you mean 'ray'" in ccigkit("grid", file, "--engine", "rya").refusal()


def test_the_command_trains_a_grid_and_goes_on_with_it(tmp_path: Path) -> None:
    file, folder = tmp_path / "g.toml", tmp_path / "out"
    file.write_text(SMALL)
    assert "0 done, 0 failed, 0 training, 2 waiting" in ccigkit("grid", file, "--out", folder, "--status").out
    done = ccigkit("grid", file, "--out", folder, "--workers", 2)
    assert (done.code, done.err) == (0, "")
    assert "2 done, 0 failed" in done.out
    assert all((trial.run / "model.safetensors").is_file() and trial.step == 2 for trial in trials(folder))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    assert ccigkit("grid", file, "--out", folder).code == 0
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}


def test_trials_learn_a_graph_once_and_are_measured_together(tmp_path: Path) -> None:
    file, folder = tmp_path / "g.toml", tmp_path / "out"
    learned = SMALL.replace('"known"', '"notears"').replace("steps = 2", 'steps = 2\nschedule = "freeze"')
    asked = '[evaluate]\nmetrics = ["graph", "composition"]\ndevice = "cpu"\n'
    file.write_text(learned.replace("[grid]", '[grid]\n"structure.l1" = [0.01, 0.2]') + asked)
    done = ccigkit("grid", file, "--out", folder, "--workers", 2)
    assert done.code == 0, done.out + done.err
    graphs = {trial.name: (trial.run / "graph.toml").read_text() for trial in trials(folder)}
    assert len(graphs) == 4
    assert len(set(graphs.values())) == 2, "the seed of a training is nothing that a learner reads; its options are"
    assert len(list((folder / "graphs").glob("*.json"))) == 2
    written = json.loads((folder / "results.json").read_text())
    assert len(written["evaluations"]) == 4
    assert [len(group["runs"]) for group in written["means over seeds"]] == [2, 2]
    assert (folder / "report.html").is_file()


def test_a_shared_graph_is_the_one_that_was_learned(tmp_path: Path) -> None:
    table = Table.fit([Attribute("a", "continuous"), Attribute("b", "continuous")], [[0, 1.0], [1, 0.3], [2, 2.0]])
    evidence = {("a", "b"): Evidence(0.1, math.inf, "knowledge")}
    graph = CausalGraph(("a", "b"), [[0, 1 / 3], [0, 0]], ("a note",), frozenset(), evidence)
    knowledge = Knowledge(frozenset({("a", "b")}))
    key = key_of({"name": "pc"}, table, knowledge)
    first, again = (kept_graph(tmp_path, key, lambda: graph) for _ in range(2))
    assert (first, first.notes, first.evidence) == (again, again.notes, again.evidence)
    assert (again.strengths == graph.strengths).all()
    moved = Table.fit(table.attributes, table.values[[2, 1, 0]])
    others = [
        ({"name": "ges"}, table, knowledge),
        ({"name": "pc"}, moved, knowledge),
        ({"name": "pc"}, table, Knowledge()),
    ]
    assert len({key, *(key_of(*other) for other in others)}) == 4
    (tmp_path / f"{key}.json").write_text("cut sho")
    assert kept_graph(tmp_path, key, lambda: graph) == graph


def test_the_training_of_a_killed_worker_saves_and_ends(tmp_path: Path) -> None:
    file, folder = tmp_path / "g.toml", tmp_path / "out"
    file.write_text(SMALL.replace("steps = 2", "steps = 100000").replace("[0, 1]", "[0]"))
    lay_out(file, folder)
    code = "import sys; from pathlib import Path; from ccigkit.commands.grid import work; work(Path(sys.argv[1]))"
    worker = subprocess.Popen([sys.executable, "-c", code, str(folder)], env=environment())
    (trial,) = trials(folder)
    try:
        wait_until(lambda: trial.step > 0)
        assert trial.trains
    finally:
        worker.kill()  # it alone: its training has a process of its own
    worker.wait()
    wait_until(lambda: not trial.trains)
    assert trial.state == "waiting"
    assert "stopping: saving step" in (folder / f"{trial.name}.log").read_text()
    saved = Run(trial.run).load_checkpoint()
    assert saved is not None
    assert saved["step"] >= trial.step


def wait_until(so: Callable[[], bool], seconds: float = 120) -> None:
    """Wait, for a while."""
    deadline = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(("library", "engine"), [("ray", on_ray), ("submitit", on_submitit)])
def test_a_grid_that_was_begun_here_ends_on_another_engine(
    library: str, engine: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not importlib.util.find_spec(library):
        pytest.skip(f"needs {library}")
    monkeypatch.setenv("HOME", str(tmp_path))  # Ray keeps a token there
    file, folder = tmp_path / "g.toml", tmp_path / "out"
    file.write_text(SMALL)
    lay_out(file, folder)
    Trial(folder, "seed=0").end("", 1.0)  # done here
    assert callable(engine)
    engine(folder, 1, lambda: time.sleep(0.2))
    assert [trial.state for trial in trials(folder)] == ["done", "done"]
    assert not Trial(folder, "seed=0").run.exists()
    assert Trial(folder, "seed=1").step == 2
