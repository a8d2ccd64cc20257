"""Plugins that are known to exist: so that what one of them would bring is not merely unknown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A plugin of ccigkit's own repository, which is installed on its own.

    Args:
        name: its entry point.
        what: what it brings, in a line.
        components: the components that it brings, as (kind, name).
        commands: the commands that it brings.
        models: the models that it brings.
    """

    name: str
    what: str
    components: tuple[tuple[str, str], ...] = ()
    commands: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    @property
    def install(self) -> str:
        """The line that installs it, from a copy of ccigkit's repository."""
        return f"pip install ./plugins/ccigkit-{self.name}"

    @property
    def remedy(self) -> str:
        """Where to find what is missing."""
        return f"it comes with ccigkit-{self.name}, in a copy of ccigkit's repository: {self.install}"


KNOWN = (
    Known("demo", "a small model of drawn faces to begin with: ccigkit sample demo", models=("demo",)),
    Known("lingam", "the structure learner lingam, for noise that is not normal", (("structure", "lingam"),)),
    Known("studio", "a page to play with: ccigkit studio", commands=("studio",)),
)
