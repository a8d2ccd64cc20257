"""What the end-to-end tests share: tiny configurations, the command line in this process and in one of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import torch
from rich.console import Console

from ccigkit.commands.app import main
from ccigkit.commands.config import Config, parse_settings

TINY = ("data.n=60", "data.size=32", "backbone.name=dcgan", "backbone.width=8", "train.batch=8", "train.device=cpu")
SILENT = Console(file=io.StringIO())


def tiny(*settings: str) -> Config:
    """A configuration that trains in a moment: a small pendulum, a narrow DCGAN, and whatever the settings say."""
    layers = [{"data": {"name": "pendulum"}}, parse_settings(TINY), parse_settings(settings)]
    return Config.resolve([("test", layer) for layer in layers])


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and what it said."""

    code: int
    out: str
    err: str

    def refusal(self) -> str:
        """The one line on stderr of a command that refused.

        Raises:
            AssertionError: where the command did anything else.
        """
        assert self.code == 2, f"exit code {self.code}: {self.out}{self.err}"
        lines = self.err.splitlines()
        assert len(lines) == 1, f"one line on stderr, not {len(lines)}: {self.err}"
        assert lines[0].startswith("ccigkit: "), lines[0]
        return lines[0].removeprefix("ccigkit: ")


def ccigkit(*arguments: object) -> Outcome:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    argv = patch.object(sys, "argv", ["ccigkit", *map(str, arguments)])
    wide = patch.dict(os.environ, {"COLUMNS": "240"})
    with argv, wide, redirect_stdout(out), redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    return Outcome(code, out.getvalue(), err.getvalue())


def environment(**more: str) -> dict[str, str]:
    """The environment of a process on one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "240", **more}


def command(*arguments: object) -> list[str]:
    """The words that start ccigkit in a process of its own."""
    return [sys.executable, "-m", "ccigkit", *map(str, arguments)]


def process(*arguments: object, folder: Path, env: Mapping[str, str] | None = None) -> Outcome:
    """Run a command in a process of its own."""
    done = subprocess.run(
        command(*arguments), cwd=folder, env=environment(**(env or {})), capture_output=True, text=True, check=False
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def assert_same(a: object, b: object, where: str = "") -> None:
    """Two nested states are equal, tensors bit for bit.

    Raises:
        AssertionError: naming the first place where they differ.
    """
    if isinstance(a, torch.Tensor):
        assert isinstance(b, torch.Tensor)
        assert torch.equal(a, b), f"{where} differs"
    elif isinstance(a, Mapping):
        assert isinstance(b, Mapping)
        assert a.keys() == b.keys(), f"{where} has other keys"
        for key in a:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        assert isinstance(b, list | tuple)
        assert len(a) == len(b), f"{where} has another length"
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}[{i}]")
    else:
        assert a == b, f"{where}: {a} is not {b}"
