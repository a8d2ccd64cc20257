"""Public names of `ccigkit.component.plugins`."""

from ccigkit.component.plugins import GROUP, Hooks, Plugin, hookimpl, hookspec, load_plugins

__all__ = ["GROUP", "Hooks", "Plugin", "hookimpl", "hookspec", "load_plugins"]
