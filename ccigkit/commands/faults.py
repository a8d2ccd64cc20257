"""What may go wrong in the middle of a training, and what is done about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from ccigkit.commands.config import Settings
from ccigkit.commands.run import Run
from ccigkit.errors import UserError, WriteError
from ccigkit.files import writing
from ccigkit.training.batches import batch_rows
from ccigkit.training.loop import DivergedError

SHORT = ("out of memory", "can't allocate memory", "not enough memory")  # how allocators say so


class Patience:
    """Lets training go on for a while though nothing can be written.

    Args:
        seconds: for how long.
        tell: told in a sentence when that begins, and when it ends well.
    """

    def __init__(self, seconds: float, tell: Callable[[str], None]) -> None:
        self.seconds, self.tell = seconds, tell
        self.since: float | None = None  # when the first file could not be written, if the last checkpoint could not

    @contextmanager
    def bearing(self) -> Iterator[None]:
        """Do without what cannot be written.

        Raises:
            WriteError: where that has lasted too long.
        """
        try:
            yield
        except WriteError as error:
            now = time.monotonic()
            first, self.since = self.since is None, now if self.since is None else self.since
            if now - self.since >= self.seconds:
                raise
            if first:
                self.tell(f"{error}. Training goes on without checkpoints for {self.seconds / 60:.3g} minutes at most")

    def ended(self) -> None:
        """A checkpoint was written."""
        if self.since is not None:
            self.tell("checkpoints are written again")
        self.since = None


@contextmanager
def explaining_faults(run: Run, settings: Settings, rows: int) -> Iterator[None]:
    """Say in one line what stopped a training from inside, and keep what is needed to look at it.

    Args:
        run: where it is kept.
        settings: how it is trained.
        rows: how many the table has.

    Raises:
        UserError: where it diverged, or there is not enough memory.
    """
    try:
        yield
    except DivergedError as error:
        batch = batch_rows(rows, settings.batch, error.step - 1, settings.seed)
        named = ", ".join(map(str, batch[:8].tolist())) + (", ..." if len(batch) > 8 else "")
        path = run.folder / "diverged.pt"
        kept = f"that batch and the state before it are in {path}"
        try:
            with writing(path) as temporary:
                torch.save({"step": error.step, "bad": error.bad, "rows": batch, **error.evidence}, temporary)
        except (WriteError, RuntimeError):
            kept = f"the disk is too full to keep that batch in {path}"
        raise UserError(
            f"{error} on rows {named} of the table; {kept}, and no checkpoint is of that step. "
            "In another --run, lower the objective's rates, or set train.precision=float32"
        ) from None
    except (MemoryError, RuntimeError) as error:
        if not _is_short_of_memory(error):
            raise
        parts = 2 * settings.accumulate
        smaller = f"train.accumulate={parts} takes the batch in {parts} parts and goes on from the last checkpoint"
        so_far = f" in {settings.accumulate} parts" if settings.accumulate > 1 else ""
        raise UserError(
            f"out of memory with train.batch={settings.batch} images{so_far}; "
            + (smaller if settings.batch >= 2 * parts else "nothing smaller can be trained")
            + "; a smaller train.batch or data.size needs another --run"
        ) from None


def _is_short_of_memory(error: Exception) -> bool:
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(words in str(error) for words in SHORT)
