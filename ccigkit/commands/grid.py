"""The command grid: many trainings from one file, all combinations or a search, by workers that share but a folder.

The folder is the only truth. Of each trial it has NAME.toml, the configuration, the run NAME, and once it has ended
NAME.json, which says how. A worker claims a trial by a lock that the system drops where the worker dies, so another
takes the trial up from its last checkpoint. Engines only start workers: what was begun on one may end on another.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import shlex
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock
from rich.console import Console
from rich.table import Table

from ccigkit.commands.config import Config, Tables, parse_settings
from ccigkit.commands.search import Search, begin, proposed, searched
from ccigkit.commands.trial import Trial, trials
from ccigkit.errors import ConfigError, UserError, one_of
from ccigkit.files import write_text
from ccigkit.show.terminal import plain, say
from ccigkit.training.interrupts import WORKER

ASKED = (75, 130)  # exit codes of a training that was asked to stop
KILLS = 3  # after which a trial is not tried again, as where it needs more memory than there is
KEYS = ("grid", "except", "search", "evaluate")
GRAPHS = "graphs"  # the folder of the graphs that trials share


def lay_out(file: Path, folder: Path) -> Mapping[str, Any]:
    """Write the trials of a grid into its folder, where they are not yet; of a search, what is sought.

    Returns:
        The file's tables.

    Raises:
        ConfigError: where the file is neither, or the folder has another's trials.
    """
    content = read_grid(file)
    if "search" in content:
        ranges = Search.of(content, str(file)).ranges
        configured(content, {k: v[0] if isinstance(v, list) else v["low"] for k, v in ranges.items()}, str(file))
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".layout.lock"):
            begin(folder, content, str(file))
        return content
    wanted = {name: config.to_toml() for name, config in configurations(content, str(file)).items()}
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".layout.lock"):
        for trial in trials(folder):
            if wanted.get(trial.name) != trial.config.read_text(encoding="utf-8"):
                raise ConfigError(f"{folder} holds {trial.name} of another grid; choose another --out")
        for name, text in wanted.items():
            if not (trial := Trial(folder, name)).config.exists():
                write_text(trial.config, text)
    return content


def read_grid(file: Path) -> dict[str, Any]:
    """The tables of a grid's file.

    Raises:
        ConfigError: where it cannot be read, or names neither a grid nor a search.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the grid {file}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from None
    if isinstance(content.get("search"), dict) and "grid" not in content:
        return content
    grid = content.get("grid")
    if "search" in content:
        raise ConfigError(f"{file} has [search] and [grid]; a search takes a list of values too, so keep that alone")
    if not isinstance(grid, dict) or not grid or not all(isinstance(v, list) and v for v in grid.values()):
        raise ConfigError(f'{file} needs a table [grid] of lists, such as "scm.name" = ["linear", "nonlinear"]')
    return content


def configurations(content: Mapping[str, Any], source: str) -> dict[str, Config]:
    """Every combination that no [[except]] leaves out, by its name.

    Raises:
        ConfigError: where one is no configuration, or an exception names what the grid does not vary.
    """
    grid, exceptions = content["grid"], content.get("except", [])
    for key in (key for one in exceptions for key in one if key not in grid):
        raise ConfigError(f"{source}: except: " + one_of("key of the grid", key, grid))
    found: dict[str, Config] = {}
    for values in itertools.product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        if any(all(chosen[key] == value for key, value in one.items()) for one in exceptions):
            continue
        name, config = configured(content, chosen, source)
        if name in found:
            raise ConfigError(f"{source}: two combinations are called {name}")
        found[name] = config
    return found


def configured(content: Mapping[str, Any], chosen: Mapping[str, Any], source: str) -> tuple[str, Config]:
    """Name and configuration of a choice of options, {"scm.hidden": 64}, in what a file fixes."""
    fixed: Tables = {key: table for key, table in content.items() if key not in KEYS}
    words = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in chosen.items()]
    short = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in chosen.items()}
    name = ",".join(f"{key.removeprefix('train.')}={_shown(value)}" for key, value in short.items())
    config = Config.resolve([(source, fixed), (name, parse_settings(words))])
    return re.sub(r"[^\w.,=-]+", "_", name), config


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def work(folder: Path, words: tuple[str, ...] = (sys.executable, "-m", "ccigkit")) -> None:
    """Train what waits, until every trial of a folder has ended: the whole of a worker.

    Args:
        folder: of the grid.
        words: what starts ccigkit.
    """
    killed = Counter[str]()
    while True:
        content = searched(folder)
        played = False
        for trial in trials(folder):
            with trial.claim() as mine:
                if not mine or trial.ended is not None:
                    continue
                played, code = True, play(trial, words, content)
                if code in ASKED:
                    return
                killed[trial.name] += code < 0
                if killed[trial.name] == KILLS:
                    trial.end(f"killed by signal {-code}, {KILLS} times", 0.0)
        if content is not None and not played:
            played = proposed(folder, content, partial(configured, content, source=str(folder)))
        if played:
            continue
        if all(trial.ended is not None for trial in trials(folder)):
            return
        time.sleep(0.5)  # what others train may come back, where they are lost


def play(trial: Trial, words: tuple[str, ...], content: Mapping[str, Any] | None = None) -> int:
    """Train a trial to its end, from where it was left; the exit code. Stopped or killed, it stays open.

    Where its worker is killed, the training notices, saves and ends. Of a search, with its tables as `content`, what
    came of the trial is measured.
    """
    begun = time.monotonic()
    shared = f"train.graphs={(trial.folder / GRAPHS).resolve()}"
    command = [*words, "train", "--config", str(trial.config), "--run", str(trial.run), shared]
    env = {**os.environ, WORKER: str(os.getpid())}
    with (trial.folder / f"{trial.name}.log").open("ab") as log:
        done = subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env, check=False)  # noqa: S603
    code = done.returncode
    if code in ASKED or code < 0:
        return code
    failed, value = "", None
    if code:
        last = (trial.folder / f"{trial.name}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        failed = f"{last[-1] if last else 'no word'} (exit code {code})"
    elif content is not None:
        try:
            value = Search.of(content, str(trial.folder)).value(trial, content.get("evaluate", {}))
        except UserError as error:
            failed = str(error)
        if value is not None and not math.isfinite(value):
            failed, value = f"what it is measured by is {value}", None
    trial.end(failed, time.monotonic() - begun, value)
    return code


def on_local(folder: Path, workers: int, wait: Callable[[], None]) -> None:
    """Workers as processes of this machine."""
    code = "import sys; from pathlib import Path; from ccigkit.commands.grid import work; work(Path(sys.argv[1]))"
    started = [subprocess.Popen([sys.executable, "-c", code, str(folder)]) for _ in range(workers)]  # noqa: S603
    try:
        while any(worker.poll() is None for worker in started):
            wait()
    finally:
        for worker in started:
            worker.terminate()


def on_submitit(folder: Path, workers: int, wait: Callable[[], None]) -> None:
    """Workers as jobs of Slurm, or of this machine where there is none."""
    try:
        import submitit
    except ImportError:
        raise ConfigError("--engine submitit needs submitit: pip install 'ccigkit[slurm]'") from None
    executor = submitit.AutoExecutor(folder=folder / ".jobs")
    executor.update_parameters(name="ccigkit", timeout_min=24 * 60)
    jobs = [executor.submit(work, folder.resolve()) for _ in range(workers)]
    while not all(job.done() for job in jobs):
        wait()


def on_ray(folder: Path, workers: int, wait: Callable[[], None]) -> None:
    """Workers as tasks of a Ray cluster, or of a Ray that is started here."""
    try:
        import ray
    except ImportError:
        raise ConfigError("--engine ray needs Ray: pip install 'ccigkit[ray]'") from None
    ray.init(ignore_reinit_error=True, include_dashboard=False, log_to_driver=False)
    left = [ray.remote(work).remote(folder.resolve()) for _ in range(workers)]
    while left:
        _, left = ray.wait(left, num_returns=len(left), timeout=1)
        wait()
    ray.shutdown()


ENGINES = {"local": on_local, "submitit": on_submitit, "ray": on_ray}


def grid(file: Path, folder: Path, engine: str, workers: int, console: Console, *, status: bool = False) -> None:
    """Train a grid, or go on with one; at its end, measure all of it.

    Raises:
        UserError: where trials failed.
    """
    if engine not in ENGINES:
        raise ConfigError("--engine: " + one_of("engine", engine, ENGINES))
    content = lay_out(file, folder)
    if not status:
        before = ""

        def wait() -> None:
            nonlocal before
            time.sleep(1)
            if (now := counted(folder)) != before:
                say(console, before := now)

        ENGINES[engine](folder, workers, wait)
    console.print(overview(folder))
    say(console, counted(folder))
    if status:
        return
    ended = [trial for trial in trials(folder) if trial.ended is not None]
    well = [trial.run for trial in ended if trial.state == "done"]
    if content.get("evaluate") and well:
        compare(well, folder, content["evaluate"], console)
    if failed := len(ended) - len(well):
        raise UserError(f"{failed} of {len(ended)} trials failed; delete their .json in {folder} to try them again")


def compare(runs: list[Path], folder: Path, wanted: Mapping[str, Any], console: Console) -> None:
    """One table of all runs, repetitions together with their intervals, and the report."""
    from ccigkit.commands.evaluate import Request, judge

    command = shlex.join(["ccigkit", *sys.argv[1:]])
    request = Request(
        runs,
        metrics=wanted.get("metrics", ()),
        device=wanted.get("device", "auto"),
        json=folder / "results.json",
        html=folder / "report.html",
        command=command,
    )
    judge(request, console)


def counted(folder: Path) -> str:
    """How many trials are in which state, in words."""
    states = [trial.state.partition(":")[0] for trial in trials(folder)]
    return ", ".join(f"{states.count(state)} {state}" for state in ("done", "failed", "training", "waiting"))


def overview(folder: Path) -> Table:
    """Every trial, its state and its step; of a search, the best first, by what came of it."""
    content = searched(folder)
    if content is None:
        table = Table("trial", "state", "step", title=str(folder))
        for trial in trials(folder):
            table.add_row(plain(trial.name), plain(trial.state), str(trial.step))
        return table
    search = Search.of(content, str(folder))
    sign = -1 if search.way == "maximise" else 1
    values = {trial: (trial.ended or {}).get("value", math.inf * sign) for trial in trials(folder)}
    table = Table("trial", "state", "step", search.target, title=f"{folder}: {search.way} {search.target}")
    for trial, value in sorted(values.items(), key=lambda pair: pair[1] * sign):
        shown = f"{value:.4g}" if math.isfinite(value) else ""
        table.add_row(plain(trial.name), plain(trial.state), str(trial.step), shown)
    return table
