"""The pluggy door: every plugin enters through the entry-point group `ccigkit`, our own components first.

A plugin is a module that implements the one hook:

    @ccigkit.hookimpl
    def ccigkit_components():
        return [MyLearner]

A plugin that cannot be loaded is set aside with its reason, and everything else goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

GROUP = "ccigkit"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Hooks:
    """What a plugin can implement."""

    @hookspec
    def ccigkit_components(self) -> list[type]:
        """The component classes that the plugin brings. A class's kind is the interface that it subclasses."""
        raise NotImplementedError  # pluggy calls the plugins' implementations, never this


@dataclass(frozen=True)
class Plugin:
    """One entry point: its components, or the reason why it has none."""

    name: str
    version: str
    components: tuple[Any, ...] = ()
    error: str | None = None


def load_plugins() -> list[Plugin]:
    """Every plugin installed, our own first, each loaded on its own so that a broken one harms nobody."""
    points = entry_points(group=GROUP)
    unique = {(point.name, point.value): point for point in points}.values()
    return [_load(point) for point in sorted(unique, key=lambda point: (point.name != "builtin", point.name))]


def _load(point: EntryPoint) -> Plugin:
    version = point.dist.version if point.dist else "unknown"
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(Hooks)
    try:
        manager.register(point.load(), name=point.name)
        manager.check_pending()
        found = manager.hook.ccigkit_components()
        if not found:
            return Plugin(point.name, version, error="it implements no ccigkit_components hook")
        return Plugin(point.name, version, tuple(component for batch in found for component in batch))
    except Exception as error:  # noqa: BLE001  whatever a stranger's code raises is a reason to set it aside
        return Plugin(point.name, version, error=f"{type(error).__name__}: {error}".splitlines()[0])
