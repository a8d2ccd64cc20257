"""Trackers: where the terms of a training go beside log.jsonl."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from ccigkit.component.component import Component
from ccigkit.errors import ConfigError

Tables = Mapping[str, Mapping[str, Any]]


class Tracker(Component):
    """A dashboard that is told how a training goes; the run's own log.jsonl is written whatever it does.

    Args:
        folder: the run directory.
        config: the run's configuration, a table of options per kind.
        step: the step that training begins at, or goes on from.
    """

    kind = "tracker"
    wiring = ("folder", "config", "step")
    package: ClassVar[str] = ""
    """The package that it needs, an extra of ccigkit by the same name."""

    def __init__(self, folder: Path, config: Tables, step: int) -> None:
        self.folder, self.config, self.step = folder, config, step

    @classmethod
    def require(cls) -> None:
        """Check that what it needs is installed.

        Raises:
            ConfigError: where it is not, with the line that installs it.
        """
        if cls.package and find_spec(cls.package) is None:
            raise ConfigError(f"--track {cls.name} needs {cls.package}: pip install 'ccigkit[{cls.package}]'")

    @abstractmethod
    def log(self, step: int, terms: Mapping[str, float]) -> None:
        """Take the terms of a step, by "phase.term"."""

    def close(self) -> None:
        """Called once, at the end of training or where it stops."""

    @classmethod
    def contract(cls, build: Callable[..., Any], lab: Any) -> None:
        if cls.package and find_spec(cls.package) is None:
            return  # then `require` says what installs it
        with TemporaryDirectory() as folder:
            tracker: Tracker = build(Path(folder), {"train": {"seed": 0}}, 0)
            for step in (1, 2):
                tracker.log(step, {"model.reconstruction": 1 / step, "discriminator.pairs": 0.5})
            tracker.close()
            again: Tracker = build(Path(folder), {"train": {"seed": 0}}, 1)  # a run that goes on
            again.log(2, {"model.reconstruction": 0.4})
            again.close()


@contextmanager
def tracking(trackers: Sequence[Tracker]) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """Tell all trackers; one that fails is said, and told no more, and training goes on."""
    well = list(trackers)

    def tell(step: int, terms: Mapping[str, float]) -> None:
        for tracker in tuple(well):
            try:
                tracker.log(step, terms)
            except Exception as error:  # noqa: BLE001  whatever a dashboard raises is no reason to stop a training
                well.remove(tracker)
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                warnings.warn(f"{tracker.name} takes no more from step {step} on: {reason}", stacklevel=2)

    try:
        yield tell
    finally:
        for tracker in well:
            with suppress(Exception):
                tracker.close()
