"""The command grid: many trainings from one file, by workers that share nothing but a folder.

The folder is the only truth. Of each trial it has NAME.toml, the configuration, the run NAME, and once it has ended
NAME.json, which says how. A worker claims a trial by a lock that the system drops where the worker dies, so another
takes the trial up from its last checkpoint. Engines only start workers: what was begun on one may end on another.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console
from rich.table import Table

from ccigkit.commands.config import Config, Tables, parse_settings
from ccigkit.errors import ConfigError, UserError, one_of
from ccigkit.files import write_json, write_text
from ccigkit.show.terminal import plain, say

ASKED = (75, 130)  # exit codes of a training that was asked to stop
KILLS = 3  # after which a trial is not tried again, as where it needs more memory than there is
KEYS = ("grid", "except", "evaluate")


@dataclass(frozen=True)
class Trial:
    """One training of a grid, and what the folder says of it."""

    folder: Path
    name: str

    @property
    def run(self) -> Path:
        """Its run directory."""
        return self.folder / self.name

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.folder / f"{self.name}.toml"

    @property
    def ended(self) -> dict[str, Any] | None:
        """How it ended, None where it has not: `failed` is empty where it went well."""
        try:
            said = json.loads((self.folder / f"{self.name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return said if isinstance(said, dict) else None

    def end(self, failed: str, seconds: float) -> None:
        """Write down how it ended."""
        write_json(self.folder / f"{self.name}.json", {"failed": failed, "seconds": round(seconds, 1)})

    @contextmanager
    def claim(self) -> Iterator[bool]:
        """Whether it is this worker's for now; not where another has it, or a training outlived its worker."""
        lock = FileLock(self.folder / f".{self.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield not self.trains
        finally:
            lock.release()

    @property
    def trains(self) -> bool:
        """Whether a process trains in its run directory."""
        if not self.run.is_dir():
            return False
        try:
            with FileLock(self.run / ".lock", timeout=0):
                return False
        except Timeout:
            return True

    @property
    def step(self) -> int:
        """The step that its log has reached."""
        from ccigkit.commands.run import Run

        log = Run(self.run).read_log()
        return int(log[-1]["step"]) if log else 0

    @property
    def state(self) -> str:
        """done, failed, training or waiting, in words."""
        if (ended := self.ended) is not None:
            return f"failed: {ended['failed']}" if ended["failed"] else "done"
        return "training" if self.trains else "waiting"


def trials(folder: Path) -> list[Trial]:
    """The trials of a folder, by name."""
    return [Trial(folder, path.stem) for path in sorted(folder.glob("*.toml"))]


def lay_out(file: Path, folder: Path) -> Mapping[str, Any]:
    """Write the trials of a grid into its folder, where they are not yet; what to evaluate at its end.

    Raises:
        ConfigError: where the file is no grid, or the folder has another's trials.
    """
    content = read_grid(file)
    wanted = {name: config.to_toml() for name, config in configurations(content, str(file)).items()}
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".layout.lock"):
        for trial in trials(folder):
            if wanted.get(trial.name) != trial.config.read_text(encoding="utf-8"):
                raise ConfigError(f"{folder} holds {trial.name} of another grid; choose another --out")
        for name, text in wanted.items():
            if not (trial := Trial(folder, name)).config.exists():
                write_text(trial.config, text)
    evaluate: Mapping[str, Any] = content.get("evaluate", {})
    return evaluate


def read_grid(file: Path) -> dict[str, Any]:
    """The tables of a grid's file.

    Raises:
        ConfigError: where it cannot be read or names no grid.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the grid {file}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from None
    grid = content.get("grid")
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
    fixed: Tables = {key: table for key, table in content.items() if key not in KEYS}
    found: dict[str, Config] = {}
    for values in itertools.product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        if any(all(chosen[key] == value for key, value in one.items()) for one in exceptions):
            continue
        words = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in chosen.items()]
        name = re.sub(r"[^\w.,=-]+", "_", ",".join(word.removeprefix("train.") for word in words))
        config = Config.resolve([(source, fixed), (name, parse_settings(words))])
        if name in found:
            raise ConfigError(f"{source}: two combinations are called {name}")
        found[name] = config
    return found


def work(folder: Path, words: tuple[str, ...] = (sys.executable, "-m", "ccigkit")) -> None:
    """Train what waits, until every trial of a folder has ended: the whole of a worker.

    Args:
        folder: of the grid.
        words: what starts ccigkit.
    """
    killed = Counter[str]()
    while any(trial.ended is None for trial in trials(folder)):
        played = False
        for trial in trials(folder):
            with trial.claim() as mine:
                if not mine or trial.ended is not None:
                    continue
                played, code = True, play(trial, words)
                if code in ASKED:
                    return
                killed[trial.name] += code < 0
                if killed[trial.name] == KILLS:
                    trial.end(f"killed by signal {-code}, {KILLS} times", 0.0)
        if not played:
            time.sleep(0.5)  # what others train may come back, where they are lost


def play(trial: Trial, words: tuple[str, ...]) -> int:
    """Train a trial to its end, from where it was left; the exit code. Stopped or killed, it stays open."""
    begun = time.monotonic()
    command = [*words, "train", "--config", str(trial.config), "--run", str(trial.run)]
    with (trial.folder / f"{trial.name}.log").open("ab") as log:
        done = subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False)  # noqa: S603
    code = done.returncode
    if code in ASKED or code < 0:
        return code
    last = (trial.folder / f"{trial.name}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    trial.end(f"{last[-1] if last else 'no word'} (exit code {code})" if code else "", time.monotonic() - begun)
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
    evaluate = lay_out(file, folder)
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
    if evaluate and well:
        compare(well, folder, evaluate, console)
    if failed := len(ended) - len(well):
        raise UserError(f"{failed} of {len(ended)} trials failed; delete their .json in {folder} to try them again")


def compare(runs: list[Path], folder: Path, wanted: Mapping[str, Any], console: Console) -> None:
    """One table of all runs, repetitions together with their intervals, and the report."""
    from ccigkit.commands.evaluate import Request, judge

    command = shlex.join(["ccigkit", *sys.argv[1:]])
    results, report = folder / "results.json", folder / "report.html"
    metrics = wanted.get("metrics", ())
    judge(Request(runs, "", "", metrics, {}, False, wanted.get("device", "auto"), results, report, command), console)


def counted(folder: Path) -> str:
    """How many trials are in which state, in words."""
    states = [trial.state.partition(":")[0] for trial in trials(folder)]
    return ", ".join(f"{states.count(state)} {state}" for state in ("done", "failed", "training", "waiting"))


def overview(folder: Path) -> Table:
    """Every trial, its state and its step."""
    table = Table("trial", "state", "step", title=str(folder))
    for trial in trials(folder):
        table.add_row(plain(trial.name), plain(trial.state), str(trial.step))
    return table
