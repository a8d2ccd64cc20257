"""The commands sample, counterfactual and effects: questions to a trained model, of images or of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from ccigkit.causal.attributes import Attribute, Attributes, Said
from ccigkit.causal.do import parse_do, written
from ccigkit.causal.interventions import Do, Policy, clipped, settled
from ccigkit.causal.model import CausalModel
from ccigkit.data.files.rows import read_rows, write_rows
from ccigkit.errors import ConfigError
from ccigkit.model.files import load
from ccigkit.model.model import CausalImageModel
from ccigkit.model.place import example
from ccigkit.names import in_file_name, labels
from ccigkit.pixels import read_image
from ccigkit.show.images import save_image
from ccigkit.show.tables import effects_table
from ccigkit.show.terminal import say

DRAWN = 10_000  # rows that an effect is asked of where none are given


@dataclass(frozen=True)
class Question:
    """What is asked of a model, and where the answer goes."""

    folder: Path  # of the model
    do: Sequence[str]  # as the command line has it: NAME=VALUE, NAME~P, NAME+=X
    out: Path | None = None  # of pictures
    table: Path | None = None  # of attributes
    seed: int = 0  # of what is drawn
    clip: bool = False  # whether shifts are kept to the range seen

    def about(self, attributes: Attributes) -> tuple[Do, Mapping[str, Said | Policy]]:
        """The intervention to carry out, and as it was asked."""
        asked = parse_do(self.do, attributes)
        return (clipped(asked) if self.clip else asked), asked


def sample(question: Question, n: int, console: Console) -> None:
    """Draw new images, or rows of a table, under an intervention if one is given."""
    model, seed = load(question.folder), question.seed
    do, asked = question.about(model.attributes)
    beside = _remark(asked, n, model.attributes.names)
    if isinstance(model, CausalModel):
        path = _needed(question)
        write_rows(path, model.attributes, model.sample(n, do, seed=seed), beside)
        _wrote(console, path)
        return
    codes, path = model.imagine(n, do, seed=seed), question.out or Path("sample.png")
    save_image(codes.drawn, path)
    _wrote(console, path)
    if question.table:
        write_rows(question.table, model.attributes, model.values(codes), beside)
        _wrote(console, question.table)


def counterfactual(
    question: Question,
    files: Sequence[Path],
    console: Console,
    *,
    resize: bool = True,
    detail: bool = True,
    probability: bool = False,
) -> None:
    """Show images, or the rows of a table, as they would have been under an intervention.

    Without files it is the example that lies beside the model.
    """
    model = load(question.folder)
    if not question.do:
        raise ConfigError(f"say what to change, for example --do {model.attributes.names[0]}=1")
    if isinstance(model, CausalModel):
        _answer_rows(model, question, files, console, probability=probability)
        return
    if probability:
        raise ConfigError(f"--probability is of a table's rows, and {question.folder} holds a model of images")
    files = files or [_example(question.folder, console)]
    read = [read_image(file, model, resize=resize) for file in files]  # all, before anything is written
    do, asked = question.about(model.attributes)
    seen = [model.abduct(image) for image in read]
    rows = model.attributes.to_values(torch.cat([codes.z for codes in seen]).double())
    hard, suffix, answers = settled(do, model.attributes, rows, question.seed), written(asked), []
    for i, (label, codes) in enumerate(zip(labels(files), seen, strict=True)):
        own = {name: value[i] if value.ndim else value for name, value in hard.items()}
        target = (question.out or Path()) / f"{in_file_name(f'{label} do({suffix})')}.png"
        save_image(model.predict(codes, own, detail=detail)[0], target)
        if question.table:
            answers.append(model.values(codes, own))
        _wrote(console, target)
    if question.table:
        beside = {"image": [str(file) for file in files], **_remark(asked, len(files), model.attributes.names)}
        write_rows(question.table, model.attributes, torch.cat(answers), beside)
        _wrote(console, question.table)


def effects(folder: Path, rows: Path | None, cause: str, effect: str, seed: int, console: Console) -> None:
    """Show what a label does to an attribute, in a table's rows or in rows that the model draws."""
    model = load(folder)
    if isinstance(model, CausalImageModel):
        model = model.causal
    given = read_rows(rows, model.attributes)[1] if rows else model.sample(DRAWN, seed=seed)
    found = model.effects(given, cause, effect, seed=seed)
    console.print(effects_table(found, cause, effect))


def _example(folder: Path, console: Console) -> Path:
    """The picture that comes with a model, for who names none.

    Raises:
        ConfigError: where none comes with it.
    """
    picture = example(folder)
    if picture is None:
        raise ConfigError(f"no example comes with {folder}: name a picture, ccigkit counterfactual {folder} PICTURE")
    say(console, f"the example that comes with {folder}: {picture}", soft_wrap=True)
    return picture


def _answer_rows(
    model: CausalModel, question: Question, files: Sequence[Path], console: Console, *, probability: bool
) -> None:
    """Write the rows of one table as they would have been, after their other columns."""
    do, asked = question.about(model.attributes)
    path = _needed(question)
    if len(files) != 1:
        raise ConfigError(
            f"{question.folder} holds a causal model of a table: give one table of rows, not {len(files)}"
        )
    columns, values = read_rows(files[0], model.attributes)
    beside = {name: list(cells) for name, cells in columns.items() if name not in model.attributes.names}
    beside |= _remark(asked, len(values), columns)
    if probability:
        beside |= _probabilities(model, values, do, question.seed, {*columns, *beside})
    write_rows(path, model.attributes, model.counterfactual(values, do, seed=question.seed), beside)
    _wrote(console, path)


def _probabilities(model: CausalModel, values: Tensor, do: Do, seed: int, taken: Iterable[str]) -> dict[str, list[str]]:
    """For each label the column P(NAME=1) [n], for each category P(NAME=CATEGORY)."""
    found: dict[str, list[str]] = {}
    for attribute in model.attributes:
        if attribute.labelled or attribute.kind == "categorical":
            shares = model.probability(values, do, attribute.name, seed=seed)
            for code, level in _levels(attribute):
                heading = _free(f"P({attribute.name}={level})", taken)
                found[heading] = [f"{share:.6g}" for share in shares[:, code].tolist()]
    return found


def _levels(attribute: Attribute) -> list[tuple[int, str]]:
    return list(enumerate(attribute.categories)) if attribute.kind == "categorical" else [(1, "1")]


def _remark(asked: Mapping[str, Said | Policy], n: int, taken: Iterable[str]) -> dict[str, list[str]]:
    """A column that says what was asked, where the attributes' own do not: what is drawn or shifted differs by row."""
    if not any(isinstance(said, Policy) for said in asked.values()):
        return {}
    return {_free("do", taken): [written(asked)] * n}


def _free(heading: str, taken: Iterable[str]) -> str:
    """A heading that no column has yet."""
    others = set(taken)
    while heading in others:
        heading += "_"
    return heading


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
