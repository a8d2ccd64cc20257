"""A search: trainings whose options Optuna chooses, each by what came of those before it.

Its journal lies in the folder of the trials, so that any worker, at any time, goes on with the search.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from rich.console import Console

from ccigkit.commands.config import Config
from ccigkit.commands.run import Run
from ccigkit.commands.trial import Trial, trials
from ccigkit.component.registry import registry
from ccigkit.errors import ConfigError, one_of
from ccigkit.files import write_text
from ccigkit.metrics.base import Metric

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

WAYS = {"maximise": "maximize", "minimise": "minimize"}
JOURNAL = "search.journal"
CONTENT = "content"  # the attribute of Optuna's study that holds the file's tables


@dataclass(frozen=True)
class Search:
    """What is searched, as the table [search] says.

    Args:
        target: a term of the log, "held-out.psnr", of which the last value counts; or "METRIC.COLUMN" of evaluate, of
            which the mean over its rows does.
        way: maximise or minimise.
        trials: how many trainings there are to be.
        ranges: of each option, "scm.hidden", the values to choose from, or {low, high, log, step}.
        seed: of Optuna's choices.
    """

    target: str
    way: str
    trials: int
    ranges: Mapping[str, Any]
    seed: int = 0

    @classmethod
    def of(cls, content: Mapping[str, Any], source: str) -> Search:
        """The search of a file.

        Raises:
            ConfigError: where its table [search] does not say what is sought, or where.
        """
        table = content["search"]
        ways = [way for way in WAYS if way in table]
        if len(ways) != 1 or not isinstance(table[ways[0]], str):
            raise ConfigError(f'{source}: [search] needs maximise or minimise, as in maximise = "held-out.psnr"')
        number, seed = table.get("trials", 0), table.get("seed", 0)
        if not isinstance(number, int) or number < 1 or not isinstance(seed, int):
            raise ConfigError(f"{source}: [search] needs the number of trials, as in trials = 20")
        ranges = {key: value for key, value in table.items() if "." in key}
        for key in table:
            if key not in ranges and key not in (*WAYS, "trials", "seed"):
                raise ConfigError(f"{source}: search: " + one_of("key", key, (*WAYS, "trials", "seed")))
        if not ranges:
            raise ConfigError(f'{source}: [search] needs what to search, as in "scm.hidden" = {{low = 8, high = 64}}')
        found = cls(table[ways[0]], ways[0], number, ranges, seed)
        found.distributions(source)
        return found

    def distributions(self, source: str) -> dict[str, BaseDistribution]:
        """What Optuna chooses from, by option.

        Raises:
            ConfigError: where a range is none, or Optuna is missing.
        """
        _optuna()
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        found: dict[str, BaseDistribution] = {}
        for key, wanted in self.ranges.items():
            try:
                if isinstance(wanted, list):
                    found[key] = CategoricalDistribution(wanted)
                else:
                    whole = all(isinstance(wanted[end], int) for end in ("low", "high"))
                    found[key] = (IntDistribution if whole else FloatDistribution)(**wanted)
            except (TypeError, ValueError, KeyError) as error:
                raise ConfigError(
                    f'{source}: search: "{key}" must be a list of values, or {{low = 1, high = 8}} with log = true or '
                    f"step = 2 if wanted: {error}"
                ) from None
        return found

    @property
    def measured(self) -> bool:
        """Whether the target is a metric of evaluate, and not a term of the log."""
        return self.target.partition(".")[0] in registry().names(Metric.kind)

    def value(self, trial: Trial, evaluate: Mapping[str, Any]) -> float:
        """What came of a trained trial.

        Raises:
            ConfigError: where there is no such term or column.
        """
        name, _, column = self.target.partition(".")
        if self.measured:
            from ccigkit.commands.evaluate import Request, judge

            request = Request([trial.run], metrics=[name], device=evaluate.get("device", "auto"))
            rows = [row for one in judge(request, Console(quiet=True)) for row in one.rows]
            found = [value for row in rows if isinstance(value := row.get(column), float | int)]
            names = {key for row in rows for key, value in row.items() if isinstance(value, float | int)}
            if not found:
                raise ConfigError(f"{self.target}: " + one_of(f"column of {name}", column, names))
            return sum(found) / len(found)
        log = Run(trial.run).read_log()
        values = [entry[self.target] for entry in log if self.target in entry]
        if not values:
            raise ConfigError("search: " + one_of("term", self.target, {key for entry in log for key in entry}))
        return float(values[-1])


def begin(folder: Path, content: Mapping[str, Any], source: str) -> None:
    """Lay out a search in its folder, or go on with one; only the number of trials may be another.

    Raises:
        ConfigError: where the folder has another search, or the trials of a grid.
    """
    search = Search.of(content, source)
    study = _study(folder, search)
    before = study.user_attrs.get(CONTENT)
    if before is None and trials(folder):
        raise ConfigError(f"{folder} holds the trials of a grid; choose another --out")
    if before is not None and _fixed(before) != _fixed(content):
        raise ConfigError(f"{folder} holds another search; choose another --out")
    if before != content:
        study.set_user_attr(CONTENT, json.loads(json.dumps(content)))


def searched(folder: Path) -> Mapping[str, Any] | None:
    """The tables of the search of a folder; None where there is a grid in it."""
    if not (folder / JOURNAL).is_file():
        return None
    optuna = _optuna()
    (name,) = optuna.get_all_study_names(_storage(folder))
    content: Mapping[str, Any] = optuna.load_study(study_name=name, storage=_storage(folder)).user_attrs[CONTENT]
    return content


def proposed(
    folder: Path, content: Mapping[str, Any], configured: Callable[[Mapping[str, Any]], tuple[str, Config]]
) -> bool:
    """Tell Optuna what came of the trials that have ended, and lay out its next; whether there is a next.

    Args:
        folder: of the search.
        content: its file's tables.
        configured: name and configuration of a choice of options.
    """
    search = Search.of(content, str(folder))
    with FileLock(folder / ".search.lock"):
        study, known = _study(folder, search), trials(folder)
        for trial in known:
            if (ended := trial.ended) is not None:
                _tell(study, int(trial.name.partition(",")[0]), ended)
        if len(known) >= search.trials:
            return False
        suggested = study.ask(search.distributions(str(folder)))
        name, config = configured(suggested.params)
        write_text(Trial(folder, f"{suggested.number:03d},{name}").config, config.to_toml())
        return True


def _tell(study: Study, number: int, ended: Mapping[str, Any]) -> None:
    from optuna.trial import TrialState

    failed = bool(ended["failed"])
    study.tell(number, None if failed else ended["value"], TrialState.FAIL if failed else None, skip_if_finished=True)


def _study(folder: Path, search: Search) -> Study:
    optuna = _optuna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # Workers ask side by side: what others train counts as bad for now, so that they look elsewhere. Every asking
        # is of a new process or a new moment, so the seed goes on with the trials.
        sampler = optuna.samplers.TPESampler(seed=search.seed + len(trials(folder)), constant_liar=True)
    study: Study = optuna.create_study(
        storage=_storage(folder),
        sampler=sampler,
        study_name="search",
        direction=WAYS[search.way],
        load_if_exists=True,
    )
    return study


def _storage(folder: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ConfigError("a search needs Optuna: pip install 'ccigkit[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _fixed(content: Mapping[str, Any]) -> dict[str, Any]:
    return {**content, "search": {key: value for key, value in content["search"].items() if key != "trials"}}
