"""The evaluate command: runs and outside models in; tables, JSON and a report out."""

from __future__ import annotations

import importlib
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from ccigkit.commands.config import Config, Tables
from ccigkit.commands.run import Run
from ccigkit.component.registry import build, registry
from ccigkit.data.base import DataModule
from ccigkit.errors import ConfigError, DataError, WriteError
from ccigkit.evaluation.boards import boards, headlines, terminal_table
from ccigkit.evaluation.exhibits import exhibit
from ccigkit.evaluation.measure import QUICK, Evaluation, current_name, evaluate, pooled, reader
from ccigkit.evaluation.page import write_report
from ccigkit.files import write_json
from ccigkit.metrics.base import ImageModel
from ccigkit.model.files import load_model
from ccigkit.show.terminal import plain, say
from ccigkit.training.devices import choose_device

GRAPHS = "graphs"
ELSEWHERE = {  # where --graphs had options of its own set before: of metrics, and what they are called now
    "truth": {"n": "n", "seed": "seed", "predictor_steps": "predictor_steps"},
    "distribution": {"n": "samples", "seed": "seed", "predictor_steps": "predictor_steps"},
}


@dataclass(frozen=True)
class Request:
    """What to measure, and where to write it."""

    runs: Sequence[Path] = ()
    model: str = ""  # one from outside, as module:function
    data: str = ""  # the data set that it is measured on
    metrics: Sequence[str] = ()
    settings: Tables = field(default_factory=dict)
    graphs: bool = False
    device: str = "auto"
    json: Path | None = None
    html: Path | None = None
    command: str = ""


@dataclass(frozen=True)
class Subject:
    """A model to be measured, the data it is measured on, and what is known of it."""

    name: str
    model: ImageModel
    data: DataModule
    about: Mapping[str, Any]
    run: Run | None = None

    @cached_property
    def kin(self) -> str:
        """What runs share that differ by their seed alone."""
        if self.run is None:
            return self.name
        return json.dumps(self.run.config.repeated, sort_keys=True, default=str)


def judge(request: Request, console: Console) -> list[Evaluation]:
    """Measure runs, and models from outside, and write what was asked for.

    Raises:
        UserError: where a run cannot be read, the data is gone or is another, or nothing could be measured.
    """
    subjects = list(gather(request))
    found, unkept = [], []
    for subject in subjects:
        measured = measure(subject, request, console)
        if subject.run:
            try:
                write_json(subject.run.folder / "evaluation.json", content([measured], request.command))
            except WriteError as error:  # what was measured is to be seen all the same
                unkept.append(str(error))
        found.append(measured)
    if not any(one.rows for one in found):
        raise DataError("; ".join(dict.fromkeys(metric.skipped for one in found for metric in one.found)))
    groups = grouped(subjects, found)
    show(groups, console)
    for why in unkept:
        warnings.warn(f"{why}; the figures above are not kept there", stacklevel=1)
    if request.json:
        write_json(request.json, content(found, request.command, groups))
        say(console, f"wrote {request.json}")
    if request.html:
        by_name = {subject.name: subject for subject in subjects}
        exhibits = []
        for name, runs in groups.items():
            subject = by_name[runs[0].name]
            log = subject.run.read_log() if subject.run else []
            with console.status(plain(f"{name}: pictures")):
                read = reader(runs[0], subject.data, request.device)
                shown = exhibit(name, subject.model, subject.data, read, log)
                exhibits.append(replace(shown, sections=sections(name, subject.model, subject.data)))
        write_report(request.html, groups, exhibits, request.command)
        say(console, f"wrote {request.html}")
    return found


def gather(request: Request) -> Iterator[Subject]:
    """The models to be measured; runs of one data set share it."""
    loaded: dict[str, DataModule] = {}
    device = choose_device(request.device)

    def data_of(table: Mapping[str, Any]) -> DataModule:
        chosen = {**table, **request.settings.get("data", {})}
        key = json.dumps(chosen, sort_keys=True, default=str)
        if key not in loaded:
            loaded[key] = build("data", chosen, {})
        return loaded[key]

    for folder in request.runs:
        run = Run(folder)
        config = run.config
        model = load_model(folder, device)
        about = {"run": str(folder), "seed": config.train.seed, "config": _written(config)}
        yield Subject(str(folder), model, data_of(config.tables["data"]), about, run)
    if request.model:
        if not request.data and not loaded:
            raise ConfigError(f"--model {request.model}: say what to measure it on, for example --data pendulum")
        data = data_of({"name": request.data}) if request.data else next(iter(loaded.values()))
        yield Subject(request.model, outside(request.model)(data), data, {"model": request.model})
    elif not request.runs:
        raise ConfigError("name a run to evaluate, or a model with --model MODULE:FUNCTION")


def outside(where: str) -> Callable[[DataModule], ImageModel]:
    """The function `module:function`, or `file.py:function`, that makes a model for a data set.

    Raises:
        ConfigError: where there is none.
    """
    place, colon, name = where.rpartition(":")
    if not colon or not name.isidentifier():
        raise ConfigError(f"--model {where} is not MODULE:FUNCTION or FILE.py:FUNCTION")
    try:
        if place.endswith(".py"):
            spec = spec_from_file_location(Path(place).stem, place)
            assert spec is not None
            assert spec.loader is not None
            module = module_from_spec(spec)
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
        else:
            sys.path.insert(0, "")
            module = importlib.import_module(place)
    except (ImportError, OSError) as error:
        raise ConfigError(f"--model {where} cannot be imported: {error}") from None
    made: Any = getattr(module, name, None)
    if not callable(made):
        raise ConfigError(f"--model {where}: {place} has no function {name}")
    return cast(Callable[[DataModule], ImageModel], made)


def sections(name: str, model: ImageModel, data: DataModule) -> dict[str, str]:
    """What plugins add to a report on one model, {heading: HTML}."""
    found = registry().ask("ccigkit_report_sections", "report sections", name=name, model=model, data=data)
    return {heading: str(html) for heading, html in found.items()}


def measure(subject: Subject, request: Request, console: Console) -> Evaluation:
    """One model measured."""
    chosen, options = asked_for(request)
    with shown_progress(console, subject.name) as show_names:
        found = evaluate(
            subject.model,
            subject.data,
            metrics=chosen,
            options=options,
            name=subject.name,
            device=request.device,
            callback=show_names,
        )
    return replace(found, about={**subject.about, **found.about})


def asked_for(request: Request) -> tuple[tuple[str, ...], Tables]:
    """The metrics, by the names that they have now, and their options; `--graphs` is the metric of that name."""
    chosen = tuple(dict.fromkeys(current_name(metric) for metric in request.metrics))
    options = {current_name(kind): table for kind, table in request.settings.items() if kind != "data"}
    if not request.graphs:
        return chosen or QUICK, options
    own = options.pop(GRAPHS, {})
    for metric, names in ELSEWHERE.items():
        for option, name in names.items():
            if option in options.get(metric, {}):
                warnings.warn(f"{metric}.{option} of --graphs is now {GRAPHS}.{name}", FutureWarning, stacklevel=1)
                own = {name: options[metric][option], **own}
        if metric not in chosen:
            rest = {o: value for o, value in options.pop(metric, {}).items() if o not in names}
            options |= {metric: rest} if rest else {}
    return tuple(dict.fromkeys((*chosen, GRAPHS))), {**options, GRAPHS: own}


@contextmanager
def shown_progress(console: Console, name: str) -> Iterator[Callable[[Sequence[str]], None]]:
    """What is being measured, in a live line on a terminal and a plain one elsewhere."""
    with console.status(plain(name)) as status:

        def show_names(metrics: Sequence[str]) -> None:
            what = f"{name}: {', '.join(metrics)}"
            status.update(plain(what))
            if not console.is_terminal:
                say(console, what, soft_wrap=True)

        yield show_names


def grouped(subjects: Sequence[Subject], found: Sequence[Evaluation]) -> dict[str, list[Evaluation]]:
    """Evaluations by what they are shown as: runs of one configuration under different seeds as one."""
    alike: dict[str, list[tuple[Subject, Evaluation]]] = {}
    for subject, measured in zip(subjects, found, strict=True):
        alike.setdefault(subject.kin, []).append((subject, measured))
    groups: dict[str, list[Evaluation]] = {}
    for kin in alike.values():
        seeds = {subject.about.get("seed") for subject, _ in kin}
        if len(seeds) == len(kin) > 1:
            stem = re.sub(r"[-_.]*(seed)?[-_.]*\d+$", "", Path(kin[0][0].name).name) or "runs"
            groups[f"{stem}, {len(kin)} seeds"] = [measured for _, measured in kin]
        else:
            groups |= {subject.name: [measured] for subject, measured in kin}
    return shortened(groups)


def shortened(groups: dict[str, list[Evaluation]]) -> dict[str, list[Evaluation]]:
    """The groups under the last part of their names, where those tell them apart."""
    short = {name: Path(name).name for name in groups}
    return {short[name]: runs for name, runs in groups.items()} if len(set(short.values())) == len(short) else groups


def show(groups: Mapping[str, Sequence[Evaluation]], console: Console) -> None:
    """Print a table for each metric, why others have none, and the headlines."""
    for found in boards(groups):
        if found.rows:
            console.print(terminal_table(found))
        for name, reason in found.skipped.items():
            say(console, plain(f"{name}: {found.metric} was skipped: {reason}", "dim"))
    if glance := headlines(groups):
        console.print(terminal_table(glance))


def content(
    found: Sequence[Evaluation], command: str, groups: Mapping[str, Sequence[Evaluation]] | None = None
) -> dict[str, Any]:
    """What the JSON file holds: everything that is needed to know what the numbers are of."""
    written: dict[str, Any] = {
        "command": command,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {package: version(package) for package in ("ccigkit", "torch", "numpy", "scikit-learn")},
        "evaluations": [one.to_json() for one in found],
    }
    seeds = {name: runs for name, runs in (groups or {}).items() if len(runs) > 1}
    if seeds:
        written["means over seeds"] = [
            {
                "name": name,
                "runs": [run.name for run in runs],
                "metrics": [
                    {
                        "metric": metric.metric,
                        "rows": [
                            {k: v if isinstance(v, str) else v.to_json() for k, v in row.items()}
                            for row in pooled([one for run in runs for one in run.found if one.metric == metric.metric])
                        ],
                    }
                    for metric in runs[0].found
                ],
            }
            for name, runs in seeds.items()
        ]
    return written


def _written(config: Config) -> Tables:
    return {
        kind: {
            k: v if v is None or isinstance(v, bool | int | float | str | list) else str(v) for k, v in table.items()
        }
        for kind, table in config.tables.items()
    }
