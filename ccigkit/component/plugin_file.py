"""A plugin of one file: components by `--plugin FILE.py`, nothing to install.

A file is code. It is run only where somebody named it on a command line of this machine (or to `ccigkit.use_plugin`),
now or before, with the very same content: what was named is remembered by its SHA-256. What a configuration or a run
names is looked up there, so that a run from elsewhere cannot have a file run that nobody here named.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from cloudpickle import register_pickle_by_value

from ccigkit.component.component import Component, is_kind
from ccigkit.component.plugins import Plugin, api_fault, hooks_of
from ccigkit.errors import ConfigError, UserError
from ccigkit.files import state_folder, write_json

HASHED = "sha256:"  # what the version of a plugin of one file begins with


@dataclass(frozen=True)
class PluginFile:
    """A file of components: where it lies, and what is in it.

    Args:
        path: the file.
        sha256: the hash of its content; empty where only the file was named.
    """

    path: Path
    sha256: str = ""

    @classmethod
    def read(cls, path: str | Path) -> tuple[PluginFile, bytes]:
        """The file as it is now, and its content.

        Raises:
            ConfigError: where there is none, or it cannot be read.
        """
        place = Path(path)
        if place.suffix != ".py":
            raise ConfigError(f"the plugin {path} is no file that ends in .py; an installed plugin needs no --plugin")
        try:
            content = place.read_bytes()
        except FileNotFoundError:
            raise ConfigError(f"the plugin file {path} is not there; check the path") from None
        except OSError as error:
            raise ConfigError(f"the plugin file {path} cannot be read: {error.strerror or error}") from None
        return cls(place.resolve(), hashlib.sha256(content).hexdigest()), content

    @classmethod
    def of(cls, said: object, beside: Path) -> PluginFile:
        """The file that an entry of `plugins = [...]` names; a path is one from the folder `beside`.

        Raises:
            ConfigError: where the entry is neither a path nor {file = PATH, sha256 = HASH}.
        """
        table = {"file": said} if isinstance(said, str) else said
        if not isinstance(table, dict) or not all(isinstance(text, str) for text in table.values()):
            raise ConfigError(f'plugins: {said!r} is not the path of a file, as in plugins = ["my_scm.py"]')
        if not table.get("file") or set(table) - {"file", "sha256"}:
            raise ConfigError(f'plugins: {said!r} is not {{file = "my_scm.py", sha256 = "..."}}')
        return cls((beside / table["file"]).resolve(), table.get("sha256", ""))

    def to_toml(self) -> dict[str, str]:
        """The file as an entry of `plugins = [...]`."""
        return {"file": str(self.path), "sha256": self.sha256}

    @property
    def version(self) -> str:
        """What stands where a package has its version."""
        return HASHED + self.sha256

    @property
    def short(self) -> str:
        """The beginning of the hash, for a reader."""
        return f"sha256 {self.sha256[:12]}"


def load_plugin_file(file: PluginFile, content: bytes) -> Plugin:
    """The components in a file's content, which is run.

    They are what its hook `ccigkit_components` returns, or, without one, every class in it that is a component or
    a kind.

    Raises:
        ConfigError: where it cannot be run, naming the line, or brings nothing.
    """
    whose = f"the plugin file {file.path}"
    if fault := api_fault(content.decode("utf-8", errors="replace")):
        raise ConfigError(f"{whose}: {fault}")
    module = ModuleType(f"ccigkit_file_{file.path.stem}_{file.sha256[:12]}")
    module.__file__ = str(file.path)
    sys.modules[module.__name__] = module
    try:
        exec(compile(content, str(file.path), "exec"), module.__dict__)  # noqa: S102  its user named it
        hooks = hooks_of(module, file.path.name)
        found = [component for batch in hooks.ccigkit_components() for component in batch]
    except SyntaxError as error:
        del sys.modules[module.__name__]
        where = f", line {error.lineno}" if error.filename == str(file.path) else ""
        raise ConfigError(f"{whose}{where}: {type(error).__name__}: {error.msg}") from None
    except Exception as error:
        del sys.modules[module.__name__]
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file.path)]
        where = f", line {lines[-1]}" if lines else ""
        raise ConfigError(f"{whose}{where}: {type(error).__name__}: {error}") from error
    register_pickle_by_value(module)  # other processes cannot import it by its name
    components = tuple(found or _written_in(module))
    if not components and not any(hook.get_hookimpls() for hook in vars(hooks).values()):
        what = "a class that subclasses one of ccigkit.interfaces, with a `name`"
        raise ConfigError(f"{whose} brings no component: {what}")
    return Plugin(file.path.name, file.version, components, file=file.path, hooks=hooks)


def _written_in(module: ModuleType) -> Iterator[type[Component]]:
    """The components and kinds that a module's own text defines."""
    for thing in vars(module).values():
        own: Any = isinstance(thing, type) and issubclass(thing, Component) and thing.__module__ == module.__name__
        if own and ("name" in vars(thing) or is_kind(thing)):
            yield thing


# --- what was named before --------------------------------------------------------------------------------------------


def remember(file: PluginFile) -> None:
    """Keep for later commands of this user that a file of this content may run; not where no place is for that."""
    with suppress(UserError):
        write_json(_note(file.sha256), {"file": str(file.path)})


def remembered(sha256: str) -> Path | None:
    """Where the file of this hash lay when it was last named here; None where it never was."""
    if not re.fullmatch("[0-9a-f]{64}", sha256):  # a stranger's file may say anything
        return None
    try:
        return Path(json.loads(_note(sha256).read_text(encoding="utf-8"))["file"])
    except (UserError, OSError, ValueError, KeyError, TypeError):
        return None


def _note(sha256: str) -> Path:
    return state_folder() / "plugins" / f"{sha256}.json"
