"""The commands. Each parses, calls one function, prints; torch is imported inside, so that --help is quick."""

from __future__ import annotations

import os
import re
import shlex
import sys
import warnings
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ccigkit.commands.plugged import Commands
from ccigkit.errors import ConfigError, UserError
from ccigkit.names import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from ccigkit.commands.config import Config

app = typer.Typer(
    cls=Commands,
    help="Causal generative models of images: learn which attribute causes which, then ask what do() would show.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="The data sets: list them, look at them.", no_args_is_help=True)
app.add_typer(data_app, name="data")


Data = Annotated[str | None, typer.Option(metavar="NAME", help="Where images and attributes come from.")]
StructureName = Annotated[str | None, typer.Option(metavar="NAME", help="How the causal graph is learned.")]
SCMName = Annotated[str | None, typer.Option(metavar="NAME", help="The structural causal model over the latent.")]
Backbone = Annotated[
    str | None, typer.Option(metavar="NAME", help="Encoder, generator and discriminator of one family.")
]
EncoderName = Annotated[str | None, typer.Option(metavar="NAME", help="The encoder alone.")]
GeneratorName = Annotated[str | None, typer.Option(metavar="NAME", help="The generator alone.")]
DiscriminatorName = Annotated[str | None, typer.Option(metavar="NAME", help="The discriminator alone.")]
ImageName = Annotated[
    str | None, typer.Option("--image", metavar="NAME", help="How a picture follows from its attributes.")
]
PlacementName = Annotated[
    str | None, typer.Option("--placement", metavar="NAME", help="Where the causal model sits among the networks.")
]
ObjectiveName = Annotated[str | None, typer.Option(metavar="NAME", help="What is minimised.")]
Settings = Annotated[list[str] | None, typer.Argument(metavar="[KIND.OPTION=VALUE]...", show_default=False)]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="A TOML file, as config.toml of a run.")
]
Recipe = Annotated[str | None, typer.Option(metavar="NAME", help="A named configuration: see ccigkit components.")]
Do = Annotated[
    list[str] | None,
    typer.Option(
        "--do",
        metavar="NAME=VALUE",
        help="An intervention; also NAME~P, NAME~N(MEAN,SD), NAME+=X, NAME-=X; repeatable.",
    ),
]
Clip = Annotated[bool, typer.Option("--clip", help="Keep shifted values to the range seen, instead of refusing them.")]
WrittenTable = Annotated[
    Path | None, typer.Option(metavar="FILE.csv", help="Also write the attributes as they are then; .csv or .tsv.")
]


def use_plugins(files: list[str] | None) -> None:
    """Let the components of files join those that are installed, before anything is chosen by name."""
    if files:
        from ccigkit.component.registry import use_plugin

        for file in files:
            use_plugin(file)


Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="FILE.py",
        callback=use_plugins,
        is_eager=True,
        help="Run this file, whose components can then be chosen by name; repeatable.",
    ),
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run, a folder of ccigkit graph --fit, or demo.")]
OPEN = {"ignore_unknown_options": True}  # flags of kinds that are not listed here come with the settings
BUSY = 0.5  # processes at work in the last minute, on average, that are not this one
SETTING = re.compile(r"[\w-]+\.\w+=")  # what is KIND.OPTION=VALUE where a file or a folder could stand too


@app.callback()
def before(plugin: Plugins = None) -> None:
    """Causal generative models of images: learn which attribute causes which, then ask what do() would show."""


@app.command(context_settings=OPEN)
def train(
    settings: Settings = None,
    config: ConfigFile = None,
    recipe: Recipe = None,
    data: Data = None,
    structure: StructureName = None,
    scm: SCMName = None,
    backbone: Backbone = None,
    encoder: EncoderName = None,
    generator: GeneratorName = None,
    discriminator: DiscriminatorName = None,
    image: ImageName = None,
    placement: PlacementName = None,
    objective: ObjectiveName = None,
    run: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; default runs/DATA-STRUCTURE-...")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps or auto.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    track: Annotated[
        list[str] | None,
        typer.Option("--track", metavar="NAME", help="Also tell tensorboard, wandb or trackio; repeatable."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved configuration and stop.")] = False,
    plugin: Plugins = None,
) -> None:
    """Train a model, or go on training it: the same command resumes."""
    from ccigkit.training.interrupts import leaving_at_once

    names = {
        "data": data,
        "structure": structure,
        "scm": scm,
        "backbone": backbone,
        "encoder": encoder,
        "generator": generator,
        "discriminator": discriminator,
        "image": image,
        "placement": placement,
        "objective": objective,
    }
    flags = {"steps": steps, "device": device, "seed": seed, "track": track or None}
    with leaving_at_once(_complain):  # from here on, as imports alone take seconds
        from ccigkit.commands.train import train as train_model

        resolved = _resolve(config, recipe, names, flags, settings or [])
        if dry_run:
            typer.echo(resolved.to_toml(), nl=False)
        else:
            train_model(resolved, run or _default_run(resolved), _console())


@app.command(context_settings=OPEN)
def graph(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TABLE.csv|.tsv|.parquet|RUN] [KIND.OPTION=VALUE]...", show_default=False),
    ] = None,
    config: ConfigFile = None,
    recipe: Recipe = None,
    data: Data = None,
    structure: StructureName = None,
    scm: SCMName = None,
    out: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Where to write it: .toml, .png or .svg; repeatable.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="The true graph, to compare with what is learned.")
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(metavar="N", min=0, help="Learn from N resamples too: how sure is each edge?")
    ] = 0,
    workers: Annotated[
        int, typer.Option(metavar="N", min=0, help="Processes that learn from resamples; 0 for one per core.")
    ] = 0,
    fit: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Also fit and keep the causal model along it."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Test what the graph claims: what does the table contradict?")
    ] = False,
    missing: Annotated[
        str | None, typer.Option(metavar="refuse|drop", help="What to do with rows that have holes.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="labels|readings|both", help="Of a run: what to learn from; default both."),
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Learn and show the graph alone, of a data set's attributes, of any table, or of what a run reads."""
    from ccigkit.commands.graph import GraphRequest, run_among, show_graph, source_of, table_among

    given = arguments or []
    table, run = table_among(given), run_among(given)
    wanted = source_of(source, run)
    several = [word for word in (run, table, data and f"--data {data}") if word]
    if run and (config or recipe):
        several.append(f"--config {config}" if config else f"--recipe {recipe}")
    if len(several) > 1:
        raise ConfigError(f"give a table, a data set or a run, not both {' and '.join(several[:2])}")
    config = Path(run) / "config.toml" if run else config
    names = {"data": "table" if table else data, "structure": structure, "scm": scm}
    settings = [word for word in given if word not in (table, run)] + ([f"data.missing={missing}"] if missing else [])
    resolved = _resolve(config, recipe, names, {}, settings)
    path, folder = Path(table) if table else None, Path(run) if run else None
    request = GraphRequest(path, out or [], truth, bootstrap, workers, fit, check, folder, wanted)
    show_graph(resolved, request, _console())


@app.command()
def grid(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="What to combine, in its table grid.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to write; default runs/FILE.")] = None,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="How many trainings at a time.")] = 1,
    engine: Annotated[str, typer.Option(metavar="NAME", help="What starts workers: local, submitit or ray.")] = "local",
    status: Annotated[bool, typer.Option("--status", help="Show how far it is, and stop.")] = False,
) -> None:
    """Train every combination of a file, or go on with it, and compare them."""
    from ccigkit.commands.grid import grid as train_grid

    train_grid(file, out or Path("runs") / file.stem, engine, workers, _console(), status=status)


@app.command()
def sample(
    run: RunFolder,
    do: Do = None,
    n: Annotated[int, typer.Option("-n", min=1, help="How many.")] = 16,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write the grid.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same noise, whatever the do().")] = 0,
    table: WrittenTable = None,
    clip: Clip = False,
    plugin: Plugins = None,
) -> None:
    """Draw new images, or new rows of a table, under an intervention if one is given."""
    from ccigkit.commands.ask import Question
    from ccigkit.commands.ask import sample as draw

    draw(Question(run, do or [], out, table, seed, clip), n, _console())


@app.command()
def counterfactual(
    run: RunFolder,
    images: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Images, or one table of rows; otherwise the model's example."),
    ] = None,
    do: Do = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write the pictures.")] = Path(),
    resize: Annotated[bool, typer.Option(help="Cut and resize images of another size to the model's.")] = True,
    detail: Annotated[bool, typer.Option(help="Keep what the generator cannot draw, wherever nothing changes.")] = True,
    table: WrittenTable = None,
    seed: Annotated[
        int, typer.Option(help="Seed of what is drawn: by the do(), and where a label leaves it open.")
    ] = 0,
    clip: Clip = False,
    probability: Annotated[
        bool, typer.Option("--probability", help="Also write how likely each label is: columns P(NAME=1).")
    ] = False,
    plugin: Plugins = None,
) -> None:
    """Show images, or the rows of a table, as they would have been under an intervention."""
    from ccigkit.commands.ask import Question
    from ccigkit.commands.ask import counterfactual as answer

    question = Question(run, do or [], out, table, seed, clip)
    answer(question, images or (), _console(), resize=resize, detail=detail, probability=probability)


@app.command()
def effects(
    run: RunFolder,
    cause: Annotated[str, typer.Option(metavar="NAME", help="A label; NAME=0 for its absence.")],
    effect: Annotated[str, typer.Option(metavar="NAME", help="A label, NAME=CATEGORY, or a number.")],
    rows: Annotated[
        Path | None, typer.Argument(metavar="[ROWS.csv]", help="Whose effects; otherwise rows that the model draws.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise, where the rows leave it open.")] = 0,
    plugin: Plugins = None,
) -> None:
    """Show what a label does: rates under do(), effects, and how necessary and sufficient it is."""
    from ccigkit.commands.ask import effects as show_effects

    show_effects(run, rows, cause, effect, seed, _console())


@app.command()
def evaluate(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="RUN... [METRIC.OPTION=VALUE]...", show_default=False)
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", metavar="NAME", help="Which metric; repeatable.")
    ] = None,
    graphs: Annotated[
        bool, typer.Option("--graphs", help="The metric graphs too: the run under wrong graphs.")
    ] = False,
    model: Annotated[
        str, typer.Option(metavar="MODULE:FUNCTION", help="A model that is not ours: what makes it for a data set.")
    ] = "",
    data: Annotated[str, typer.Option(metavar="NAME", help="The data set that --model is measured on.")] = "",
    device: Annotated[str, typer.Option(metavar="D", help="cpu, cuda, mps or auto.")] = "auto",
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write everything as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write a report with pictures.")] = None,
    plugin: Plugins = None,
) -> None:
    """Measure runs, and models that are not ours, beside their controls."""
    from ccigkit.commands.config import parse_settings
    from ccigkit.commands.evaluate import Request, judge

    given = arguments or []
    there = os.path.exists  # Path's own raises where a word is too long for a name
    runs = [Path(word) for word in given if there(word) or not SETTING.match(word)]
    settings = parse_settings(word for word in given if Path(word) not in runs)
    command = shlex.join(["ccigkit", *sys.argv[1:]])
    request = Request(runs, model, data, metric or (), settings, graphs, device, json, html, command)
    judge(request, _console())


@app.command()
def predictor(
    settings: Settings = None,
    config: ConfigFile = None,
    recipe: Recipe = None,
    data: Data = None,
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Training steps.")] = 1200,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of its weights and batches.")] = 0,
    device: Annotated[str, typer.Option(metavar="D", help="cpu, cuda, mps or auto.")] = "auto",
    plugin: Plugins = None,
) -> None:
    """Train what reads attributes from pictures, on a data set's real images, for evaluate to measure with."""
    from ccigkit.commands.predictor import train_predictor

    train_predictor(_resolve(config, recipe, {"data": data}, {}, settings or []), steps, seed, device, _console())


@app.command()
def components(
    kind: Annotated[str | None, typer.Argument(metavar="[KIND]")] = None,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None,
    plugin: Plugins = None,
) -> None:
    """List the components that are installed, or show one with its options."""
    from ccigkit.commands.components import describe_component, list_components

    if kind and name:
        describe_component(kind, name, _console())
    else:
        list_components(kind, _console())


@app.command()
def export(
    run: RunFolder,
    form: Annotated[str, typer.Option("--format", metavar="torch|onnx", help="For torch.export, or ONNX.")] = "torch",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write it; RUN.pt2 or .onnx else.")] = None,
    plugin: Plugins = None,
) -> None:
    """Write a model of images as one file that needs no ccigkit, with do() as an input."""
    from ccigkit.commands.export import export as write

    write(run, form, out, _console())


@app.command()
def push(
    run: RunFolder,
    repo: Annotated[str, typer.Argument(metavar="USER/NAME", help="Where to, on the hub.")],
    public: Annotated[bool, typer.Option("--public", help="For everybody; otherwise for you alone.")] = False,
    plugin: Plugins = None,
) -> None:
    """Put a model on a hub of models, with a card that says what it is."""
    from ccigkit.commands.hub import push as send

    send(run, repo, _console(), public=public)


@app.command()
def pull(
    repo: Annotated[str, typer.Argument(metavar="USER/NAME[@REVISION]", help="Which model of the hub.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to write it; NAME otherwise.")] = None,
    plugin: Plugins = None,
) -> None:
    """Fetch a model from a hub of models; it brings tensors and a description, and no code."""
    from ccigkit.commands.hub import pull as fetch

    fetch(repo, out, _console())


@app.command("new-plugin")
def new_plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the component; the package is ccigkit-NAME.")],
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="See ccigkit components.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write the package.")] = Path(),
    plugin: Plugins = None,
) -> None:
    """Write a package for a component of your own: one that works, with its tests, to begin from."""
    from ccigkit.commands.new_plugin import new_plugin as write

    write(name, kind, out, _console())


@data_app.command("list")
def data_list(plugin: Plugins = None) -> None:
    """List the data sets that are installed: attributes, size, what is known, what each needs."""
    from ccigkit.commands.components import data_table

    _console().print(data_table())


@data_app.command("preview")
def data_preview(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    settings: Annotated[list[str] | None, typer.Argument(metavar="[OPTION=VALUE]...", show_default=False)] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the page.")] = Path("preview.png"),
    plugin: Plugins = None,
) -> None:
    """Show a data set on one page: pictures, the labels' correlations, the true graph where it is known."""
    from ccigkit.commands.data import preview_data

    preview_data(_resolve_data(name, settings or []), out, _console())


@data_app.command("prepare")
def data_prepare(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    settings: Annotated[list[str] | None, typer.Argument(metavar="[OPTION=VALUE]...", show_default=False)] = None,
    plugin: Plugins = None,
) -> None:
    """Decode or draw a data set once, so that training waits for nothing."""
    from ccigkit.commands.data import prepare_data

    prepare_data(_resolve_data(name, settings or []), _console())


def _resolve(
    file: Path | None,
    recipe: str | None,
    names: dict[str, str | None],
    flags: dict[str, Any],
    settings: list[str],
) -> Config:
    from ccigkit.commands.config import Config, parse_settings, read_recipe, read_toml

    layers: list[tuple[str, Any]] = []
    if recipe:
        layers.append((f"recipe {recipe}", read_recipe(recipe)))
    if file:
        layers.append((str(file), read_toml(file)))
    flags_of_kinds, settings = _flags(settings)
    names = {**names, **flags_of_kinds}
    layers.append(("command line", {kind: {"name": name} for kind, name in names.items() if name}))
    layers.append(("command line", {"train": {key: value for key, value in flags.items() if value is not None}}))
    layers.append(("command line", parse_settings(settings)))
    return Config.resolve(layers)


def _flags(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """`--KIND NAME` or `--KIND=NAME` for any kind that has a flag, apart from the other words."""
    from ccigkit.component.registry import registry

    flags, others, left = {kind for kind, of in registry().kinds.items() if of.flag}, [], list(words)
    found: dict[str, str] = {}
    while left:
        word = left.pop(0)
        kind, equals, name = word.removeprefix("--").partition("=")
        if not word.startswith("-"):
            others.append(word)
        elif kind in flags and (equals or left):
            found[kind] = name or left.pop(0)
        else:
            raise ConfigError(f"no such option: {word}; ccigkit train --help lists what there is")
    return found, others


def _resolve_data(name: str, settings: list[str]) -> Config:
    return _resolve(None, None, {"data": name}, {}, [f"data.{setting.removeprefix('data.')}" for setting in settings])


def _default_run(config: Config) -> Path:
    tables = config.tables
    parts = [tables[kind]["name"] for kind in ("data", "structure", "generator", "objective")]
    return Path("runs") / "-".join([*parts, f"seed{tables['train']['seed']}"])


def _console() -> Console:
    from rich.console import Console

    return Console()


def _complain(text: str) -> None:
    print(f"ccigkit: {one_line(text)}", file=sys.stderr)


def _wait_asleep() -> None:
    """Let threads that wait for each other sleep, where others work on the machine.

    By default they spin, and so stand in the way of the one that they wait for. OpenMP reads this once, when torch is
    imported.
    """
    busy = hasattr(os, "getloadavg") and os.getloadavg()[0] > BUSY
    if busy and not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def main() -> None:
    """Run a command: what a user can mend is one line on stderr and exit code 2, anything else a traceback."""
    _wait_asleep()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a letter that the terminal's encoding lacks is shown as its number
            stream.reconfigure(errors="backslashreplace")
    told = cache(_complain)  # what is opened twice says the same of itself, and one hears it once
    warnings.showwarning = lambda message, *_, **__: told(str(message))
    usage_error: Any = typer.BadParameter.__mro__[1]  # of its usage errors, Typer exports this one alone
    try:
        code = app(standalone_mode=False)
    except UserError as error:
        _complain(str(error))
        code = 2
    except usage_error as error:
        text = error.format_message()
        if "\n" in text:  # no command at all: its text is the help
            print(text)
        else:
            _complain(f"{text} (ccigkit --help lists what there is)")
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    raise SystemExit(code if isinstance(code, int) else 0)
