"""The documentation says what is there: every command, every option, every block of code."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

from ccigkit.commands.app import app
from ccigkit.commands.config import SETTINGS, recipes
from ccigkit.component.options import options_of
from ccigkit.component.registry import registry
from ccigkit.data.drawn.faces import BIAS, EFFECTS, ROOT_SCORE
from ccigkit.objectives.ccig import CCIG
from ccigkit.objectives.dear import DEAR

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *ROOT.glob("plugins/*/*.md"),
]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
COMMAND = re.compile(r"^ {4}(?:.*&& )?(?:uv run |\.venv/bin/)?ccigkit (?P<arguments>.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<content>.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command of the app with its full name, groups left out."""
    for name in group.list_commands(None):  # of plugins, too
        command = group.get_command(None, name)
        if hasattr(command, "commands"):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


ALL: dict[str, Any] = dict(commands(typer.main.get_command(app)))
COMMON = {"--help", "--plugin"}  # of every command, and told once


def blocks(page: Path, language: str) -> list[str]:
    return [found["content"] for found in BLOCK.finditer(page.read_text()) if found["language"] == language]


@pytest.mark.parametrize("name", ALL)
def test_every_option_of_every_command_is_told(name: str) -> None:
    page = (ROOT / "docs/cli.md").read_text()
    heading = re.search(rf"^##+ {name}$", page, re.MULTILINE)
    assert heading, f"docs/cli.md has no section {name}"
    section = re.split(r"^##+ ", page[heading.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    for parameter in ALL[name].params:
        for option in (*parameter.opts, *parameter.secondary_opts):
            if option.startswith("-") and option not in COMMON:
                assert re.search(rf"`{option}[ `]", section), f"docs/cli.md does not tell of {name} {option}"


def test_no_option_is_told_that_does_not_exist() -> None:
    known = {o for command in ALL.values() for p in command.params for o in (*p.opts, *p.secondary_opts)}
    told = set(re.findall(r"`(--[\w-]+)", (ROOT / "docs/cli.md").read_text())) - {"--help"}
    assert told <= known


def test_every_setting_is_told() -> None:
    commands, concepts = (ROOT / "docs/cli.md").read_text(), (ROOT / "docs/concepts.md").read_text()
    assert all(f"`train.{option}`" in commands for option in options_of(SETTINGS["train"]))
    assert all(f"| `{option}` |" in concepts for option in options_of(SETTINGS["knowledge"]))


def test_every_built_in_component_is_named_in_the_readme() -> None:
    readme, found = (ROOT / "README.md").read_text(), registry()
    for (kind, name), plugin in found.origins.items():
        assert plugin.name != "builtin" or kind == "metric" or f"`{name}`" in readme, f"{kind} {name}"


@pytest.mark.parametrize("objective", [CCIG, DEAR])
def test_every_option_of_an_objective_is_told(objective: type) -> None:
    page = (ROOT / "docs/objective.md").read_text()
    assert all(f"`{option}`" in page for option in options_of(objective))


def test_every_recipe_is_told() -> None:
    page = (ROOT / "docs/objective.md").read_text()
    assert all(f"--recipe {name}" in page for name in recipes())


def test_the_causal_model_of_the_faces_is_the_one_told() -> None:
    page = (ROOT / "docs/data.md").read_text()
    for (cause, effect), weight in EFFECTS.items():
        assert f"| {cause} -> {effect} | {weight} |" in page
    assert f"+{ROOT_SCORE} or -{ROOT_SCORE}" in page
    assert all(f"{bias} for {name}" in page for name, bias in BIAS.items())


@every_page
def test_python_blocks_compile_and_toml_blocks_parse(page: Path) -> None:
    for block in blocks(page, "python"):
        compile(block, str(page), "exec")
    for block in blocks(page, "toml"):
        tomllib.loads(block)


@every_page
def test_every_command_shown_is_one(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place, text, written = 0, page.read_text(), ""
    for found in COMMAND.finditer(text):
        if re.search(r"\[(?:[A-Z]|--)|^COMMAND", found["arguments"]):  # how a command is written in general
            continue
        for shown in BLOCK.finditer(text, place, found.start()):
            if shown["language"] == "toml":  # the configuration last shown is the one meant
                Path("mine.toml").write_text(shown["content"])
            if shown["language"] == "python":
                written = shown["content"]
        place = found.start()
        words = shlex.split(found["arguments"])
        name = next(" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in ALL)
        for file in (file for option, file in pairwise(words) if option == "--plugin"):
            Path(file).write_text(written)  # the file last shown is the one meant
        context = ALL[name].make_context(name, words[len(name.split()) :])  # raises where it does not parse
        if name == "train":
            ALL[name].callback(**{**context.params, "dry_run": True})  # raises where a part or an option is unknown
        if name == "graph":
            arguments = context.params.pop("arguments") or []
            settings = [s for s in arguments if "=" in s]
            if len(settings) < len(arguments):  # the other is a file, as the data set `table` reads one, or a run
                context.params["data"] = "table"
            for alone in ("out", "truth", "bootstrap", "workers", "fit", "check", "missing", "source"):
                context.params.pop(alone)
            ALL["train"].callback(settings=settings, **context.params, dry_run=True)
