"""The pluggy door: every plugin enters through the entry-point group `ccigkit`, our own components first.

A plugin is a module that implements one or more of the hooks, and says for which of them it was written:

    ccigkit_api = 1

    @ccigkit.hookimpl
    def ccigkit_components():
        return [MyLearner]

A plugin that cannot be loaded is set aside with its reason, and everything else goes on.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

API = 1
"""The number of the hooks, the kinds and what they promise each other; another number is another promise."""
GROUP = "ccigkit"
BUILTIN = "builtin"
DECLARED = "ccigkit_api"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Hooks:
    """What a plugin can implement, any of it. One that fails is said, and the rest goes on without it."""

    @hookspec
    def ccigkit_components(self) -> list[type]:
        """The component classes that the plugin brings. A class's kind is the interface that it subclasses."""
        raise NotImplementedError  # pluggy calls the plugins' implementations, never this

    @hookspec
    def ccigkit_commands(self) -> Mapping[str, Callable[..., Any]]:
        """Commands by name: functions with parameters as Typer takes them, or a `typer.Typer` of several.

        The module is imported for `ccigkit --help`, too: import what takes long inside the functions.
        """
        raise NotImplementedError

    @hookspec
    def ccigkit_models(self) -> Mapping[str, str | Path]:
        """The folders of trained models, by the name that stands for the folder in commands and `ccigkit.load`.

        A picture to try, `example.png`, may lie beside a model.
        """
        raise NotImplementedError

    @hookspec
    def ccigkit_report_sections(self, name: str, model: Any, data: Any) -> Mapping[str, str]:
        """Sections of the page that `ccigkit evaluate --html` writes, {heading: HTML}, for one model.

        Args:
            name: what the report calls the model.
            model: the `ImageModel`.
            data: the `DataModule` that it is measured on.
        """
        raise NotImplementedError

    @hookspec
    def ccigkit_studio_pages(self) -> Mapping[str, Any]:
        """Pages of the studio, {title: what the studio serves under it}; ccigkit-studio says of what make."""
        raise NotImplementedError


@dataclass(frozen=True)
class Plugin:
    """One entry point, or one file: its components, or the reason why it has none."""

    name: str
    version: str
    components: tuple[Any, ...] = ()
    error: str | None = None
    file: Path | None = None  # of a plugin that is no package
    hooks: Any = None  # what it implements, to be called


def load_plugins() -> list[Plugin]:
    """Every plugin installed, our own first, each loaded on its own so that a broken one harms nobody."""
    return [load_plugin(point) for point in installed()]


def installed() -> list[EntryPoint]:
    """The entry points of all plugins, our own first, then by name."""
    points = entry_points(group=GROUP)
    unique = {(point.name, point.value): point for point in points}.values()
    return sorted(unique, key=lambda point: (point.name != BUILTIN, point.name))


def load_plugin(point: EntryPoint) -> Plugin:
    """What one entry point brings."""
    version = point.dist.version if point.dist else "unknown"
    try:
        if fault := api_fault(_source(point)):
            return Plugin(point.name, version, error=fault)
        hooks = hooks_of(point.load(), point.name)
        if not any(hook.get_hookimpls() for hook in vars(hooks).values()):
            return Plugin(point.name, version, error="it implements none of the hooks, as ccigkit_components is one")
        found = tuple(component for batch in hooks.ccigkit_components() for component in batch)
        return Plugin(point.name, version, found, hooks=hooks)
    except Exception as error:  # noqa: BLE001  whatever a stranger's code raises is a reason to set it aside
        return Plugin(point.name, version, error=f"{type(error).__name__}: {error}".splitlines()[0])


def hooks_of(module: ModuleType, name: str) -> Any:
    """The hooks of one plugin's module, to be called: what others implement is not among them.

    Raises:
        pluggy.PluginValidationError: where it implements a hook that there is not, or takes what none is given.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(Hooks)
    manager.register(module, name=name)
    manager.check_pending()
    return manager.hook


def api_fault(source: str) -> str | None:
    """Why a plugin's source is not for this ccigkit, or None; a plugin that names no number is taken to be.

    The source is read, not run: what was written for other interfaces may fail before it could say so.

    Examples:
        >>> api_fault("ccigkit_api = 7")
        'it is written for plugin API 7, and this ccigkit has 1; install a version of it for 1, or another ccigkit'
        >>> api_fault("import ccigkit")
    """
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):  # its import says so better
        return None
    for node in body:
        named = [target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)]
        if DECLARED in named and isinstance(node, ast.Assign):
            said = ast.unparse(node.value)
            if said != str(API):
                remedy = f"install a version of it for {API}, or another ccigkit"
                return f"it is written for plugin API {said}, and this ccigkit has {API}; {remedy}"
    return None


def brings(point: EntryPoint, hook: str) -> bool:
    """Whether an entry point's module may implement a hook, by its source: so that others need not be imported."""
    source = _source(point)
    return not source or hook in source


def _source(point: EntryPoint) -> str:
    """The text of an entry point's module; empty where it is no file of Python."""
    spec = find_spec(point.module)
    origin = Path(spec.origin) if spec and spec.origin else Path()
    return origin.read_text(encoding="utf-8", errors="replace") if origin.suffix == ".py" else ""
