"""TensorBoard: event files in the run's own folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ccigkit.training.tracker import Tables, Tracker


class TensorBoard(Tracker):
    """Curves in RUN/tensorboard, on this machine alone: tensorboard --logdir RUN."""

    name = "tensorboard"
    package = "tensorboard"

    def __init__(self, folder: Path, config: Tables, step: int) -> None:
        super().__init__(folder, config, step)
        from torch.utils.tensorboard import SummaryWriter

        # What a stopped run had drawn after its last checkpoint is taken back.
        self.writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def log(self, step: int, terms: Mapping[str, float]) -> None:
        for name, value in terms.items():
            self.writer.add_scalar(name.replace(".", "/"), value, step)
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()
