"""The commands of plugins, found when the command line is read: no other plugin is imported for them."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import typer
from typer.core import TyperGroup

from ccigkit.component.plugins import BUILTIN, Plugin, brings, installed, load_plugin
from ccigkit.errors import ConfigError

HOOK = "ccigkit_commands"


class Commands(TyperGroup):
    """The commands that come along, and after them those of plugins."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands, in the order of the help."""
        own = super().list_commands(ctx)
        return [*own, *(name for name in plugged() if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, or None.

        Raises:
            ConfigError: where a plugin that is not installed is known to bring it.
        """
        from ccigkit.component.known import KNOWN

        found = super().get_command(ctx, cmd_name) or plugged().get(cmd_name)
        for plugin in () if found else KNOWN:
            if cmd_name in plugin.commands:
                raise ConfigError(f"unknown command {cmd_name!r}: {plugin.remedy}")
        return found


def plugged() -> dict[str, Any]:
    """The commands of plugins, by name; what is wrong with a plugin is said, and its commands are left out."""
    from ccigkit.component.registry import files_in_use

    found: dict[str, Any] = {}
    for plugin in [*packages(), *files_in_use()]:
        try:
            if plugin.error:
                raise ConfigError(plugin.error)
            made = {name: command(name, of) for batch in getattr(plugin.hooks, HOOK)() for name, of in batch.items()}
        except Exception as error:  # noqa: BLE001  whatever a stranger's code raises
            reason = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
            warnings.warn(f"the commands of plugin {plugin.name!r} are left out: {reason}", stacklevel=2)
            continue
        found = made | found
    return found


@cache
def packages() -> list[Plugin]:
    """The plugins installed that may bring commands."""
    return [load_plugin(point) for point in installed() if point.name != BUILTIN and brings(point, HOOK)]


def command(name: str, of: Any) -> Any:
    """A function, or a `typer.Typer`, as the command of a name."""
    if isinstance(of, typer.Typer):
        made = typer.main.get_command(of)
    else:
        alone = typer.Typer(add_completion=False)
        alone.command(name)(of)
        made = typer.main.get_command(alone)
    made.name = name
    return made
