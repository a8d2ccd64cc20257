"""Gradient descent on one loss: what small networks are fitted with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


def descend(parameters: Sequence[nn.Parameter], loss: Callable[[], Tensor], *, steps: int, rate: float) -> None:
    """Descend a loss by Adam, its rate falling to zero along a line.

    Args:
        parameters: what moves.
        loss: makes the loss [] anew at every step.
        steps: how many.
        rate: the first step's rate.
    """
    optimizer = torch.optim.Adam(parameters, lr=rate)
    with torch.enable_grad():
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = rate * (1 - step / steps)
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
    optimizer.zero_grad()
