"""The one training loop: phases over parts, whatever the objective."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ccigkit.component.component import Component
from ccigkit.errors import CheckpointError, UserError
from ccigkit.objectives.base import Batch, Objective, Phase
from ccigkit.training.devices import random_state, set_random_state


class Training:
    """The state of one training, and its step.

    Every phase updates its own parts and nothing else; each part has one optimiser (Adam, betas 0.5 and 0.99). Rates
    fall along a cosine to a fiftieth.

    Args:
        objective: what is minimised.
        steps: how many steps the whole training has; the rates' cosine ends there.
        ema: decay of the running averages of parts' weights, per step.
        device: where it runs.
        dtype: the number format of forward passes; bfloat16 runs under autocast.
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
        self.averages = {
            part: AveragedModel(module, multi_avg_fn=self._average)
            for part, module in self.parts.items()
            if isinstance(module, Component) and module.averaged
        }

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
        # Early averages decay faster: with a fixed decay the random start would still weigh after a short training.
        decay = min(self.ema, (1 + self.step_number) / (10 + self.step_number))
        torch._foreach_lerp_(averages, current, 1 - decay)

    def averaged(self) -> dict[str, nn.Module]:
        """The averaged copies of the parts that a finished model has averages of."""
        return {part: average.module for part, average in self.averages.items()}

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
    """A function that says whether Ctrl-C was pressed, to be asked between steps, so that no half step is saved.

    Pressed again, it interrupts at once. Signals reach the main thread only.
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
