"""Gumbel-max: one choice among k, and what the same noise would have chosen under other odds."""

from __future__ import annotations

import math

import torch
from torch import Tensor

MEDIAN = math.log(2)  # of an exponential


def waiting(shape: torch.Size, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Exponential draws: what a Gumbel variable g is as exp(-g)."""
    uniform = torch.rand(shape, generator=generator, dtype=like.dtype, device=like.device)
    return -torch.log1p(-uniform).clamp(max=-1e-300 if like.dtype == torch.float64 else -1e-30)


def posterior(log_p: Tensor, chosen: Tensor, first: Tensor, others: Tensor) -> Tensor:
    """Gumbel noise [..., k] with which log_p [..., k] chooses `chosen` [...], from top to bottom.

    The greatest of log_p + g is a Gumbel variable whichever is chosen, and the others are Gumbel variables cut off at
    it (Maddison et al. 2014, "A* sampling"; Oberst and Sontag 2019, section 3.3). `first` [..., 1] and `others`
    [..., k] are exponential: drawn, the noise is a draw from the posterior; all at their median, it represents it.
    """
    rest = -torch.log(first + others / log_p.exp().clamp(min=1e-30)) - log_p
    top = -torch.log(first) - log_p
    return torch.where(chosen[..., None] == torch.arange(log_p.shape[-1], device=log_p.device), top, rest)


def counterfactual(p: Tensor, q: Tensor, chosen: Tensor) -> Tensor:
    """P(the same noise chooses each of k under odds q | it chose `chosen` [...] under p), p and q [..., k] to [..., k].

    As a race: j arrives after an exponential time of rate p_j, the first is chosen, and under q its time is p_j / q_j
    as long. Given the winner's time T (exponential of rate 1), the others' new times start at T p_j / q_j, from where
    their rate is q_j. With a = time / T, integrating T out leaves q_j da / (1 + c(a))^2 with c(a) the sum of
    q_l (a - p_l / q_l) over those that have started: a sum over the k starts, exact.
    """
    p, q = p.clamp(min=1e-12), q.clamp(min=1e-12)
    ratio, k = p / q, p.shape[-1]
    end = ratio.gather(-1, chosen[..., None])  # the winner's own new time, in units of T
    rival = torch.arange(k, device=p.device) != chosen[..., None]
    stops = torch.minimum(ratio, end).sort(dim=-1).values  # [..., k], the last of them is `end`
    risk = (q * rival)[..., None, :] * (stops[..., :, None] - ratio[..., None, :]).clamp(min=0)
    alive = 1 / (1 + risk.sum(dim=-1))  # [..., k]: nobody has arrived by that stop
    share = (stops[..., 1:] - stops[..., :-1]) * alive[..., 1:] * alive[..., :-1]
    started = (ratio[..., None, :] <= stops[..., :-1, None]) & rival[..., None, :]  # [..., k - 1, k]
    rivals = (share[..., None] * started * q[..., None, :]).sum(dim=-2)
    return torch.where(rival, rivals, alive[..., -1:])
