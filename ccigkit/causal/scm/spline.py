"""Monotone rational quadratic splines: a one-to-one map of any shape between noise and a continuous attribute."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

BOUND = 4.0  # the spline's box, -4 to 4 on both axes; beyond it the map is the identity
NARROWEST, FLATTEST = 0.01, 0.01  # least share of a bin in the box, and least slope at a knot


@dataclass(frozen=True)
class Spline:
    """Knots x, y [..., bins + 1] and slopes there; increasing, once differentiable, invertible in closed form.

    Rational quadratic splines (Gregory and Delbourgo 1982; Durkan et al. 2019, "Neural spline flows", section 3.1).
    """

    x: Tensor
    y: Tensor
    slope: Tensor

    @classmethod
    def of(cls, raw: Tensor) -> Spline:
        """A spline from unconstrained numbers [..., 3 bins - 1]; zeros give the identity."""
        bins = (raw.shape[-1] + 1) // 3
        width, height, slope = raw.split([bins, bins, bins - 1], dim=-1)
        unit = torch.log(torch.expm1(torch.tensor(1.0 - FLATTEST, dtype=raw.dtype, device=raw.device)))
        inner = FLATTEST + F.softplus(slope + unit)
        return cls(_knots(width), _knots(height), F.pad(inner, (1, 1), value=1.0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Places x [...] to y [...], with the logarithm of the slope there."""
        x0, x1, y0, y1, d0, d1 = self._bin(self.x, x)
        width, height = x1 - x0, y1 - y0
        mean = height / width
        t = ((x - x0) / width).clamp(0, 1)
        bend = mean + (d0 + d1 - 2 * mean) * t * (1 - t)
        y = y0 + height * (mean * t.square() + d0 * t * (1 - t)) / bend
        top = d1 * t.square() + 2 * mean * t * (1 - t) + d0 * (1 - t).square()
        inside = x.abs() < BOUND
        log_slope = 2 * mean.log() + top.log() - 2 * bend.log()
        return torch.where(inside, y, x), torch.where(inside, log_slope, 0)

    def inverse(self, y: Tensor) -> Tensor:
        """Places y [...] back to x [...]: the root of a quadratic that lies in its bin (Durkan et al., eqs. 6 to 8)."""
        x0, x1, y0, y1, d0, d1 = self._bin(self.y, y)
        width, height = x1 - x0, y1 - y0
        mean, rise = height / width, (y - y0).clamp(min=0)
        curve = d0 + d1 - 2 * mean
        a, b, c = height * (mean - d0) + rise * curve, height * d0 - rise * curve, -mean * rise
        t = (2 * c) / (-b - (b.square() - 4 * a * c).clamp(min=0).sqrt())
        return torch.where(y.abs() < BOUND, x0 + t.clamp(0, 1) * width, y)

    def _bin(self, knots: Tensor, at: Tensor) -> tuple[Tensor, ...]:
        """Both ends of the bin of each place: x, x, y, y, slope, slope."""
        inner = knots[..., 1:-1].detach()
        index = (at.detach()[..., None] >= inner).sum(dim=-1, keepdim=True)
        index = index.expand(*torch.broadcast_shapes(at.shape, knots.shape[:-1]), 1)
        ends = [line.expand(*index.shape[:-1], -1) for line in (self.x, self.y, self.slope)]
        return tuple(line.gather(-1, index + step)[..., 0] for line in ends for step in (0, 1))


def _knots(raw: Tensor) -> Tensor:
    """Unconstrained [..., bins] as increasing knots [..., bins + 1] from -BOUND to BOUND."""
    bins = raw.shape[-1]
    share = NARROWEST + (1 - NARROWEST * bins) * raw.softmax(dim=-1)
    inner = share[..., :-1].cumsum(dim=-1) * (2 * BOUND) - BOUND
    return F.pad(F.pad(inner, (1, 0), value=-BOUND), (0, 1), value=BOUND)
