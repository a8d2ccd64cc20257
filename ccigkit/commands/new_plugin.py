"""The command new-plugin: a complete package for a component of one kind, to begin from."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from rich.console import Console

from ccigkit.component.plugins import API
from ccigkit.component.registry import registry
from ccigkit.errors import ConfigError, one_of
from ccigkit.files import write_text
from ccigkit.show.terminal import say

SKELETONS = files("ccigkit").joinpath("skeletons")
SUFFIX = ".test.txt"
USES = {  # how a component of a kind is used, where no --KIND NAME does it
    "metric": "ccigkit evaluate RUN --metric example",
    "tracker": "ccigkit train --track example",
    "image": "ccigkit train --image example --dry-run",
    "data": "ccigkit data preview example",
}


def new_plugin(name: str, kind: str, folder: Path, console: Console) -> None:
    """Write the package ccigkit-NAME into a folder: a component that does something small, its tests, and a README.

    Raises:
        ConfigError: for a kind of which there is no skeleton, a name that is none, or a package that is there already.
    """
    name = name.removeprefix("ccigkit-")
    if kind not in kinds():
        raise ConfigError(one_of("kind", kind, kinds()))
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
        raise ConfigError(f"{name!r} is no name of a plugin: small letters and digits, with - between words")
    if name in registry().names(kind):
        raise ConfigError(f"there is a {kind} {name!r} already; choose another name")
    package = folder / f"ccigkit-{name}"
    if package.exists():
        raise ConfigError(f"{package} is there already; choose another name, or another --out")
    for path, text in contents(name, kind).items():
        write_text(package / path, text)
    say(console, f"wrote {package}: its README says how to install, test and use it")


def kinds() -> list[str]:
    """The kinds of which there is a skeleton."""
    return sorted(path.name.removesuffix(SUFFIX) for path in SKELETONS.iterdir() if path.name.endswith(SUFFIX))


def contents(name: str, kind: str) -> dict[str, str]:
    """The files of a package, by their paths in it."""
    module, title = name.replace("-", "_"), "".join(word.capitalize() for word in re.split("[-_]", name))

    def filled(skeleton: str) -> str:
        text = SKELETONS.joinpath(f"{skeleton}.txt").read_text(encoding="utf-8")
        words = {"USE": USES.get(kind, f"ccigkit train --{kind} example --dry-run"), "SENTENCE": sentence(kind)}
        words |= {"API": str(API), "KIND": kind}
        for word, meant in words.items():
            text = text.replace(word, meant)
        return text.replace("ccigkit_example", f"ccigkit_{module}").replace("Example", title).replace("example", name)

    return {
        "pyproject.toml": filled("pyproject.toml"),
        "README.md": filled("README.md"),
        ".github/workflows/tests.yml": filled("tests.yml"),
        f"ccigkit_{module}/__init__.py": filled("init"),
        f"ccigkit_{module}/{kind}.py": filled(f"{kind}.py"),
        f"ccigkit_{module}/py.typed": "",
        f"tests/test_{module}.py": filled(f"{kind}.test"),
    }


def sentence(kind: str) -> str:
    """What the component of a skeleton is, as its module says."""
    first = SKELETONS.joinpath(f"{kind}.py.txt").read_text(encoding="utf-8").splitlines()[0]
    return first.strip('"')
