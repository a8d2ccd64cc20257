"""The one training loop: phases over parts, whatever the objective."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim.swa_utils import AveragedModel

from ccigkit.component.component import Component
from ccigkit.errors import CheckpointError, UserError
from ccigkit.objectives.base import Batch, Objective, Phase
from ccigkit.training.batches import shares
from ccigkit.training.devices import random_state, set_random_state
from ccigkit.training.processes import ALONE, Team


class DivergedError(UserError):
    """A term, or a gradient, is no longer a finite number. Nothing was updated with it.

    Args:
        step: the step that was played, from 1.
        bad: what is not finite, as "phase.term" or "the gradient of phase".
        evidence: the phase, its terms, its batch, the state of training and of the random generators when it began.
    """

    def __init__(self, step: int, bad: str, evidence: Mapping[str, Any]) -> None:
        super().__init__(f"training diverged at step {step}: {bad} is not a finite number")
        self.step, self.bad, self.evidence = step, bad, evidence


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
        accumulate: in how many parts a phase takes its batch; their gradients are averaged, so that a large batch
            needs the memory of a small one.
        team: the processes that take every step together.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        steps: int,
        ema: float = 0.998,
        device: torch.device,
        dtype: torch.dtype,
        accumulate: int = 1,
        team: Team = ALONE,
    ) -> None:
        self.objective, self.steps, self.ema, self.device, self.dtype = objective, steps, ema, device, dtype
        self.accumulate, self.team = accumulate, team
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
            DivergedError: where a term or a gradient is no longer finite; no part has been updated with it.
        """
        self._set_rates()
        terms: dict[str, Tensor] = {}
        before = [(tensor, tensor._version) for tensor in self._statistics()]
        for phase in self.phases:
            if self.step_number % phase.every == 0:
                terms.update(self._play(phase, batch))
        pairs = zip(self._statistics(), before, strict=True)
        changed = [now for now, (was, version) in pairs if now is not was or now._version != version]
        numbers = _numbers(terms, self.team, changed)
        self.step_number += 1
        self.objective.between(self.step_number)
        for part, average in self.averages.items():
            average.update_parameters(self.parts[part])
        return numbers

    def _play(self, phase: Phase, batch: Batch) -> dict[str, Tensor]:
        begun = random_state(self.device)
        with self._only(phase.updates):
            optimizers = [self.optimizers[part] for part in phase.updates if part in self.optimizers]
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            terms: dict[str, Tensor] = {}
            try:
                for share in shares(batch, self.accumulate):
                    for name, term in self._descended(phase, share).items():
                        terms[name] = terms.get(name, 0) + term.detach() / self.accumulate
                bad = self._not_finite(phase, terms)
            except ValueError as error:  # torch's distributions look at what they are given
                if "invalid values" not in str(error):
                    raise
                bad = f"what {phase.name} gives a distribution"
            if self.team.count > 1:
                bad = self._averaged_gradients(phase, spoiled=bad)
            if bad:
                evidence = {"phase": phase.name, "terms": _numbers(terms), **vars(batch), "random": begun}
                raise DivergedError(self.step_number + 1, bad, {**evidence, "state": self.state()})
            for optimizer in optimizers:
                optimizer.step()
        return terms

    def _descended(self, phase: Phase, batch: Batch) -> dict[str, Tensor]:
        """The terms of a phase on a share of its batch; their gradients are added to what its parts have."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not torch.float32):
            terms = phase.loss(batch)
        total = torch.stack([term.float() for term in terms.values()]).sum() / self.accumulate
        if total.requires_grad:
            total.backward()
        return {f"{phase.name}.{name}": term for name, term in terms.items()}

    def _not_finite(self, phase: Phase, terms: Mapping[str, Tensor]) -> str:
        """What must not be taken a step along, in words; empty where all is finite."""
        parts = (self.parts[part] for part in phase.updates)
        gradients = [p.grad for module in parts for p in module.parameters() if p.grad is not None]
        whole = {f"the gradient of {phase.name}": get_total_norm(gradients)} if gradients else {}
        bad = [name for name, value in _numbers({**terms, **whole}).items() if not math.isfinite(value)]
        return ", ".join([name for name in bad if name in terms] or bad)  # of such a term, the gradient is not either

    def _averaged_gradients(self, phase: Phase, spoiled: str) -> str:
        """Average a phase's gradients over all processes; what must not be taken a step along, in words.

        Where that of one process is spoiled, it spoils all, so that every process stops at the same step.
        """
        parameters = [p for part in phase.updates for p in self.parts[part].parameters()]
        empty = torch.nan if spoiled else 0.0
        gradients = [torch.full_like(p, empty) if spoiled or p.grad is None else p.grad for p in parameters]
        self.team.average(gradients)
        return spoiled or self._not_finite(phase, {})

    def _statistics(self) -> list[Tensor]:
        """The running statistics, which every process follows on its share of the batch."""
        if self.team.count == 1:
            return []
        return [b for module in self.parts.values() for b in module.buffers() if b.is_floating_point()]

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

    def same(self) -> None:
        """Take the weights and buffers of the first process, so that all go on from the same.

        Raises:
            CheckpointError: where the processes are not at the same step.
        """
        if self.team.most(self.step_number) != -self.team.most(-self.step_number):
            raise CheckpointError(
                "the processes went on from different steps; several machines need a run directory that they share"
            )
        self.team.follow([t for module in self.parts.values() for t in (*module.parameters(), *module.buffers())])

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


def _numbers(terms: Mapping[str, Tensor], team: Team = ALONE, statistics: Sequence[Tensor] = ()) -> dict[str, float]:
    """Scalars, brought from their device at once.

    Of several processes, their means; with them, in one exchange, the means of statistics, in their place.
    """
    if not terms:
        return {}
    values = torch.stack([term.detach().float() for term in terms.values()])
    team.average([values, *statistics])
    return dict(zip(terms, values.tolist(), strict=True))
