"""Descent: the loop in which small networks are trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

Schedule = Callable[[Optimizer, float, int], LRScheduler]  # the optimiser, its rate and its steps


def constant(optimizer: Optimizer, rate: float, steps: int) -> LRScheduler:
    """The rate stays as it is."""
    return LambdaLR(optimizer, lambda step: 1.0)


def falling(optimizer: Optimizer, rate: float, steps: int) -> LRScheduler:
    """The rate falls along a line, and would be zero after the last step."""
    return LambdaLR(optimizer, lambda step: 1 - step / max(steps, 1))


def one_cycle(optimizer: Optimizer, rate: float, steps: int) -> LRScheduler:
    """The rate rises to its height in the first third and then falls (Smith and Topin, 2019)."""
    return OneCycleLR(optimizer, rate, total_steps=steps)


def descend(
    parameters: Iterable[nn.Parameter],
    loss: Callable[[int], Tensor],
    *,
    steps: int,
    rate: float,
    decay: float = 0.0,
    schedule: Schedule = constant,
    after_step: Callable[[], None] = lambda: None,
) -> None:
    """Change parameters in place, step by step, so that a loss falls (Adam; Kingma and Ba, 2015).

    >>> point = nn.Parameter(torch.tensor([3.0, -2.0]))
    >>> descend([point], lambda step: point.square().sum(), steps=200, rate=0.1, schedule=falling)
    >>> bool(point.abs().max() < 0.01)
    True

    Args:
        parameters: what is changed; afterwards none has a gradient.
        loss: the number of a step, from 0, to what is to fall in it, a scalar. What is drawn at random is drawn there.
        steps: how many steps.
        rate: the learning rate, at its highest.
        decay: by how much of the rate each parameter shrinks in each step (AdamW; Loshchilov and Hutter, 2019).
        schedule: `constant`, `falling`, `one_cycle`, or another that makes a scheduler of torch.
        after_step: called after each step, for progress.
    """
    optimizer = AdamW(parameters, lr=rate, weight_decay=decay)
    scheduler = schedule(optimizer, rate, steps)
    with torch.enable_grad():
        for step in range(steps):
            optimizer.zero_grad()
            torch.autograd.backward(loss(step))
            optimizer.step()
            scheduler.step()
            after_step()
    optimizer.zero_grad()
