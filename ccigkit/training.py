"""The one training loop: phases over parts, whatever the objective."""

from __future__ import annotations

import contextlib
import ctypes
import math
import random
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import tee
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ccigkit.errors import CheckpointError, UserError
from ccigkit.images import to_float
from ccigkit.interfaces import Batch, DataModule, Objective, Phase, Split

AVERAGED = ("encoder", "generator")


class Training:
    """The state of one training, and the step that moves it.

    Every phase updates its own parts and nothing else; optimisers (Adam, betas 0.5 and 0.99) belong to parts. Rates
    fall along a cosine to a fiftieth.
    """

    def __init__(
        self, objective: Objective, *, steps: int, ema: float = 0.998, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.objective, self.steps, self.ema, self.device, self.dtype = objective, steps, ema, device, dtype
        self.phases = objective.phases()
        self.parts = objective.parts()
        self.rates = dict(objective.rates())
        self.step_number = 0
        self.optimizers = {
            part: torch.optim.Adam(module.parameters(), lr=self.rates.get(part, 0.0), betas=(0.5, 0.99))
            for part, module in self.parts.items()
            if any(True for _ in module.parameters())
        }
        self.averages = {part: AveragedModel(self.parts[part], multi_avg_fn=self._average) for part in AVERAGED}

    def step(self, batch: Batch) -> dict[str, float]:
        """Play every phase once on a batch; the value of every term, by "phase.term".

        Raises:
            UserError: where a term is no longer a finite number.
        """
        self._set_rates()
        terms: dict[str, Tensor] = {}
        for phase in self.phases:
            if self.step_number % phase.every == 0:
                terms.update(self._play(phase, batch))
        self.step_number += 1
        self.objective.between(self.step_number)
        for part, average in self.averages.items():
            average.update_parameters(self.parts[part])
        values = dict(zip(terms, torch.stack([t.detach().float() for t in terms.values()]).tolist(), strict=True))
        if bad := [name for name, value in values.items() if not np.isfinite(value)]:
            raise UserError(
                f"training diverged at step {self.step_number}: {', '.join(bad)} is not a finite number; "
                "lower the objective's rates, or set train.precision=float32"
            )
        return values

    def _play(self, phase: Phase, batch: Batch) -> dict[str, Tensor]:
        with self._only(phase.updates):
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not torch.float32):
                terms = phase.loss(batch)
            optimizers = [self.optimizers[part] for part in phase.updates if part in self.optimizers]
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            total = torch.stack([term.float() for term in terms.values()]).sum()
            if total.requires_grad:
                total.backward()
                for optimizer in optimizers:
                    optimizer.step()
        return {f"{phase.name}.{name}": term for name, term in terms.items()}

    @contextmanager
    def _only(self, updates: tuple[str, ...]) -> Iterator[None]:
        """Let only the parts a phase updates take gradients."""
        for part, module in self.parts.items():
            module.requires_grad_(part in updates)
        yield
        for module in self.parts.values():
            module.requires_grad_(True)

    def _set_rates(self) -> None:
        factor = 0.02 + 0.98 * (1 + math.cos(math.pi * min(1, self.step_number / self.steps))) / 2
        for part, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.rates.get(part, 0.0) * factor

    @torch.no_grad()
    def _average(self, averages: Any, current: Any, count: Any) -> None:
        # Young averages forget fast: a fixed decay would still remember the random start after a short training.
        decay = min(self.ema, (1 + self.step_number) / (10 + self.step_number))
        torch._foreach_lerp_(averages, current, 1 - decay)

    def averaged(self, part: str) -> nn.Module:
        """The averaged copy of a part, for pictures and for the finished model."""
        module: nn.Module = self.averages[part].module
        return module

    def state(self) -> dict[str, Any]:
        """Everything that a later `load` needs to go on as if never stopped, in tensors and plain data."""
        return {
            "step": self.step_number,
            "parts": {part: module.state_dict() for part, module in self.parts.items()},
            "averages": {part: average.state_dict() for part, average in self.averages.items()},
            "optimizers": {part: optimizer.state_dict() for part, optimizer in self.optimizers.items()},
            "random": random_state(self.device),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned.

        Raises:
            CheckpointError: where that was another training's, or another version's.
        """
        try:
            for group, saved in ((self.parts, "parts"), (self.averages, "averages"), (self.optimizers, "optimizers")):
                for part, thing in group.items():
                    thing.load_state_dict(state[saved][part])
            set_random_state(state["random"], self.device)
            self.step_number = int(state["step"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).rpartition("\n")[2].strip()
            raise CheckpointError(
                f"checkpoint.pt does not fit what is to be trained ({reason}); delete it, or choose another --run"
            ) from None


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed: asked for between steps, so that no step is saved half played.

    Pressed again, it interrupts at once. Only the main thread hears it.
    """
    pressed = False

    def note(number: int, frame: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    listening = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, note) if listening else None
    try:
        yield lambda: pressed
    finally:
        if listening:
            signal.signal(signal.SIGINT, before)


def batch_rows(n: int, size: int, step: int, seed: int) -> Tensor:
    """The rows [size] of one step: a pure function of seed and step, so a resumed run sees the same data.

    Every epoch is a new permutation; its last batch is filled from the next.
    """
    first = step * size
    epochs = range(first // n, (first + size - 1) // n + 1)
    order = torch.cat([torch.randperm(n, generator=torch.Generator().manual_seed(seed + 7919 * e)) for e in epochs])
    start = first - epochs.start * n
    return order[start : start + size]


def batches(data: DataModule, latents: Tensor, size: int, steps: Iterable[int], seed: int) -> Iterator[Batch]:
    """The batch of each step, where the latents [n, d] are: images in [-1, 1] and the latents of the same rows."""
    rows, wanted = tee(batch_rows(len(latents), size, step, seed) for step in steps)
    for these, pixels in zip(rows, data.in_batches(wanted), strict=True):
        yield as_batch(pixels, latents[these.to(latents.device)], latents.device)


def read_batch(split: Split, latents: Tensor, rows: Tensor, device: torch.device) -> Batch:
    """The images and attributes of some rows, on the device, images in [-1, 1]."""
    return as_batch(split.images.index_select(0, rows), latents[rows.to(latents.device)], device)


def as_batch(pixels: Tensor, latents: Tensor, device: torch.device) -> Batch:
    """Images [b, c, h, w] as uint8, and their attributes, as a batch on the device, images in [-1, 1]."""
    image = to_float(pixels.to(device, non_blocking=True))
    return Batch(image.contiguous(memory_format=torch.channels_last), latents)


def random_state(device: torch.device) -> dict[str, Any]:
    """The state of every random generator, in tensors and plain data."""
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002  a plugin may use it
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "python": random.getstate(),
        "numpy": [str(kind), torch.as_tensor(np.asarray(keys).astype(np.int64)), position, has_gauss, gauss],
    }


def set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Put every random generator back."""
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002


def keep_memory() -> None:
    """Ask the C library to keep freed memory for the next step instead of handing it back to the system.

    On a CPU every large activation is otherwise mapped, zeroed and unmapped again in every step. Where the C library is
    not glibc, nothing happens.
    """
    mmap_threshold, trim_threshold = -3, -1  # of malloc.h
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap_threshold, 1 << 25)  # the most that glibc takes
        mallopt(trim_threshold, (1 << 31) - 1)


def choose_device(name: str) -> torch.device:
    """A device by name; "auto" is the best there is.

    Raises:
        UserError: where there is no such device.
    """
    if name == "auto":
        best = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return best or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"device {name!r} is not available: {str(error).splitlines()[0]}") from None
    return device


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it fast (GPUs, CPUs with AVX512-BF16), else float32."""
    fast = device.type == "cuda" or (device.type == "cpu" and getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())
    return torch.bfloat16 if precision == "bfloat16" or (precision == "auto" and fast) else torch.float32
