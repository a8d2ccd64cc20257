"""Several processes that train one model together, each on its rows of every batch; Lightning Fabric joins them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributed as dist

from ccigkit.errors import ConfigError, UserError
from ccigkit.training.devices import seed_all
from ccigkit.training.interrupts import watching

CPU = torch.device("cpu")


class LostError(UserError):
    """Another process of the same training has ended."""


@dataclass(frozen=True)
class Team:
    """The processes of one training, as one of them sees it; alone by default.

    Every process has the same model and takes the same step: gradients, terms and running statistics are means over
    all. The first alone writes.

    Args:
        rank: which process this is, from 0.
        count: how many there are.
        device: where they exchange numbers.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = CPU

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """What this process has of the rows [b] of a batch: every `count`-th, its first half of the batch's first."""
        return rows[self.rank :: self.count]

    def seed(self, seed: int, step: int) -> None:
        """Give every process random numbers of its own.

        The first goes on with those that checkpoints hold. Those of the others are a function of seed, step and rank,
        so that a checkpoint need not hold them, whatever the number of processes that goes on from it.
        """
        if not self.first:
            seed_all(((seed << 32) + step * 65_537 + self.rank) % 2**63)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over all processes in the place of each tensor."""
        self._exchange(tensors, lambda flat: (dist.all_reduce(flat), flat.div_(self.count)))

    def follow(self, tensors: Sequence[Tensor]) -> None:
        """Put the first process's tensor in the place of each."""
        self._exchange(tensors, lambda flat: dist.broadcast(flat, 0))

    def _exchange(self, tensors: Sequence[Tensor], change: Callable[[Tensor], object]) -> None:
        """Let `change` change all tensors of a type, laid end to end, at once."""
        if self.count == 1:
            return
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            of_type = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in of_type])
            with _asking():
                change(flat)
            _put(of_type, flat)

    def most(self, number: int) -> int:
        """The largest of the numbers that the processes give."""
        if self.count == 1:
            return number
        largest = torch.tensor(number, device=self.device)
        with _asking():
            dist.all_reduce(largest, dist.ReduceOp.MAX)
        return int(largest)

    def told(self, text: str = "") -> str:
        """The text that the first process gives."""
        if self.count == 1:
            return text
        content = text.encode()
        size = self.most(len(content) if self.first else 0)
        letters = torch.zeros(size, dtype=torch.uint8, device=self.device)
        if self.first:
            letters.copy_(torch.tensor(list(content), dtype=torch.uint8))
        self.follow([letters])
        return bytes(letters.tolist()).decode()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """The first process does this before the others, which find what it left on disk."""
        if not self.first:
            self.most(0)
        yield
        if self.first:
            self.most(0)


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise LostError(
            "another process of this training has ended; what it said stands above, "
            "and the same command goes on from the last checkpoint"
        ) from error


def _put(tensors: Sequence[Tensor], flat: Tensor) -> None:
    with torch.no_grad():
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view(tensor.shape))


ALONE = Team()


def launched() -> tuple[int, int, str]:
    """How many processes a launcher has started here, on how many machines, and the launcher: torchrun, srun or none.

    In a batch script of Slurm that does not call srun there is one process, whatever was asked for.
    """
    known = os.environ
    if "TORCHELASTIC_RUN_ID" in known:
        here, all_of_them = int(known["LOCAL_WORLD_SIZE"]), int(known["WORLD_SIZE"])
        return here, all_of_them // here, "torchrun"
    if int(known.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        machines = int(known.get("SLURM_STEP_NUM_NODES", "1"))
        return int(known["SLURM_STEP_NUM_TASKS"]) // machines, machines, "srun"
    return 1, 1, ""


def join(processes: int, device: str) -> Team:
    """Start the other processes of a training, or join those that torchrun or srun started.

    The others run the same command anew. They meet through gloo on CPUs and NCCL on GPUs, one GPU each.

    Args:
        processes: how many on this machine, where no launcher says so.
        device: cpu, cuda, or auto.

    Raises:
        ConfigError: where lightning-fabric is missing, or the device cannot be shared so.
    """
    here, machines, launcher = launched()
    here = here if launcher else processes
    if here * machines == 1:
        return ALONE
    if launcher and processes not in (1, here):
        raise ConfigError(f"train.processes={processes}, but {launcher} started {here} on this machine; leave it out")
    on_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if not on_gpu and device not in ("auto", "cpu"):
        raise ConfigError(f"train.device={device} is one device, and {here} processes need cpu or cuda (one each)")
    if on_gpu and torch.cuda.device_count() < here:
        raise ConfigError(f"{here} processes need a GPU each, and this machine has {torch.cuda.device_count()}")
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.lightning import LightningEnvironment
        from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
        from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    except ImportError:
        raise ConfigError(f"{here} processes need lightning-fabric: pip install 'ccigkit[processes]'") from None
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    environment = {"torchrun": TorchElasticEnvironment, "srun": SLURMEnvironment, "": LightningEnvironment}[launcher]()
    if not launcher and environment.creates_processes_externally:
        watching(os.getppid(), lambda: os._exit(1))  # whatever this one waits for
    fabric = Fabric(
        accelerator="cuda" if on_gpu else "cpu", devices=here, num_nodes=machines, strategy="ddp", plugins=[environment]
    )
    fabric.launch()
    return Team(fabric.global_rank, fabric.world_size, fabric.device)


def leave() -> None:
    """Part from the others, at the end."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
