"""What a user did wrong, in one line that names the value and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something the user can mend. The command line prints it as one line and exits with code 2."""

    def __str__(self) -> str:
        """The sentence in one line, whatever line breaks a name in it has."""
        return " ".join(super().__str__().splitlines())


class GraphError(UserError):
    """The graph is not what a causal graph must be."""


class DataError(UserError):
    """The data cannot be read, or cannot be learned from."""


class ConfigError(UserError):
    """A name, an option or a value in the configuration is not known or not allowed."""


class CheckpointError(UserError):
    """A run directory or a checkpoint cannot be read or does not fit."""


class WriteError(UserError):
    """A file cannot be written: the disk is full, or the place is closed."""


def one_of(what: str, given: str, known: Iterable[str]) -> str:
    """The sentence for an unknown name: what was given, the nearest known name, and all the known ones."""
    known = sorted(known)
    near = get_close_matches(given.lower(), [name.lower() for name in known], n=1, cutoff=0.6)
    guess = next((f"did you mean {name!r}? " for name in known if near and name.lower() == near[0]), "")
    return f"unknown {what} {given!r}: {guess}known are {', '.join(known) or 'none'}"
