"""The commands sample and counterfactual: questions to a trained model, of images or of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from ccigkit.causal.attributes import parse_do
from ccigkit.causal.model import CausalModel
from ccigkit.data.files.rows import read_rows, write_rows
from ccigkit.errors import ConfigError
from ccigkit.model.files import load
from ccigkit.names import in_file_name, labels
from ccigkit.pixels import read_image
from ccigkit.show.images import save_image
from ccigkit.show.terminal import say


@dataclass(frozen=True)
class Question:
    """What is asked of a model, and where the answer goes."""

    folder: Path  # of the model
    do: Sequence[str]  # as the command line has it: NAME=VALUE
    out: Path | None = None  # of pictures
    table: Path | None = None  # of attributes


def sample(question: Question, n: int, seed: int, console: Console) -> None:
    """Draw new images, or rows of a table, under an intervention if one is given."""
    model = load(question.folder)
    do = parse_do(question.do, model.attributes)
    if isinstance(model, CausalModel):
        path = _needed(question)
        write_rows(path, model.attributes, model.sample(n, do, seed=seed), {})
        _wrote(console, path)
        return
    codes, path = model.imagine(n, do, seed=seed), question.out or Path("sample.png")
    save_image(codes.drawn, path)
    _wrote(console, path)
    if question.table:
        write_rows(question.table, model.attributes, model.values(codes), {})
        _wrote(console, question.table)


def counterfactual(
    question: Question, files: Sequence[Path], console: Console, *, resize: bool = True, detail: bool = True
) -> None:
    """Show images, or the rows of a table, as they would have been under an intervention."""
    model = load(question.folder)
    do = parse_do(question.do, model.attributes)
    if not do:
        raise ConfigError(f"say what to change, for example --do {model.attributes.names[0]}=1")
    if isinstance(model, CausalModel):
        path = _needed(question)
        if len(files) != 1:
            raise ConfigError(
                f"{question.folder} holds a causal model of a table: give one table of rows, not {len(files)}"
            )
        columns, values = read_rows(files[0], model.attributes)
        others = {name: list(cells) for name, cells in columns.items() if name not in model.attributes.names}
        write_rows(path, model.attributes, model.counterfactual(values, do), others)
        _wrote(console, path)
        return
    read = [(file, read_image(file, model, resize=resize)) for file in files]  # all, before anything is written
    said = {name: value if isinstance(value, str) else f"{value:.15g}" for name, value in do.items()}
    suffix, answers = ",".join(f"{name}={value}" for name, value in said.items()), []
    for label, (_, image) in zip(labels(files), read, strict=True):
        name = in_file_name(f"{label} do({suffix})")
        codes, target = model.abduct(image), (question.out or Path()) / f"{name}.png"
        save_image(model.predict(codes, do, detail=detail)[0], target)
        answers.append(model.values(codes, do))
        _wrote(console, target)
    if question.table:
        write_rows(question.table, model.attributes, torch.cat(answers), {"image": [str(file) for file in files]})
        _wrote(console, question.table)


def _needed(question: Question) -> Path:
    """Where the rows of a model without images go.

    Raises:
        ConfigError: where that is not said.
    """
    if question.table is None:
        raise ConfigError(
            f"{question.folder} holds a causal model of a table: say where to write with --table FILE.csv"
        )
    return question.table


def _wrote(console: Console, path: Path) -> None:
    say(console, f"wrote {path}", soft_wrap=True)
