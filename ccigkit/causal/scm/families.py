"""The mechanisms of each kind of attribute: what makes of its causes, and of its noise, its latent."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ccigkit.causal.scm import gumbel
from ccigkit.causal.scm.ladder import LEAST, Ladder, filled, normal_cdf
from ccigkit.causal.scm.spline import Spline

RAREST = 1e-6  # no level is less likely than this, whatever its causes
SHRINK = 1e-3  # price of a shape that depends on the causes: where an additive noise does as well, it stays one
AT_LEVEL = 1e-4  # a reading this near to its level, in steps, is a label and no degree


class Family(nn.Module, ABC):
    """The mechanisms of n attributes of one kind, all at once.

    Each reads the hidden units [b, n, h] that its causes excite. `own` picks some of the n, as do the columns of
    `hidden`, z [b, n] and u [b, n, w] then. Only `loss` is for training; the others answer in double precision.
    """

    columns: Tensor
    width = 1  # columns of noise for each attribute

    def __init__(self, columns: Sequence[int], hidden: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("columns", torch.tensor(columns), persistent=False)
        self.out = nn.Parameter(torch.randn(len(columns), hidden, outputs) / hidden)
        self.constant = nn.Parameter(torch.zeros(len(columns), outputs))

    def heads(self, hidden: Tensor, own: Tensor | None = None) -> Tensor:
        """The numbers [b, n, outputs], as precise as `hidden`, that say how each attribute depends on its noise."""
        every = own is None or len(own) == len(self.columns)
        out, constant = (self.out, self.constant) if every else (self.out[own], self.constant[own])
        return torch.einsum("bnh,nho->bno", hidden, out.to(hidden.dtype)) + constant

    @abstractmethod
    def loss(self, hidden: Tensor, z: Tensor) -> Tensor:
        """Minus the logarithm of the likelihood of z [b, n], up to what no parameter changes, [b, n]."""

    @abstractmethod
    def latent(self, hidden: Tensor, u: Tensor, own: Tensor) -> Tensor:
        """Noise u [b, n, w] to latents [b, n]."""

    @abstractmethod
    def noise(self, hidden: Tensor, z: Tensor, own: Tensor) -> Tensor:
        """Latents [b, n] to the noise [b, n, w] that makes them."""

    def draw(self, hidden: Tensor, z: Tensor, own: Tensor, generator: torch.Generator | None) -> Tensor:
        """Noise [b, n, w] drawn from all that makes z [b, n]."""
        return self.noise(hidden, z, own)

    @abstractmethod
    def prior(self, fitted: Tensor) -> Tensor:
        """New noise [b, n, w], given draws [b, n] from the quantiles of what the training table left over."""


class Curves(Family):
    """Continuous attributes: z = m(pa) + s(pa) T(u; pa), T a monotone spline, u standard normal.

    A conditional density of any shape and spread, a one-dimensional conditional flow (Papamakarios et al. 2021;
    Pawlowski et al. 2020 for mechanisms). Shape and spread begin as those of additive noise and leave it at a price.
    """

    def __init__(self, columns: Sequence[int], hidden: int, bins: int) -> None:
        super().__init__(columns, hidden, 1 + 3 * bins)
        with torch.no_grad():
            self.out[..., 1:] = 0

    def loss(self, hidden: Tensor, z: Tensor) -> Tensor:
        mean, log_scale, spline = self._parts(self.heads(hidden))
        u, log_slope = spline.forward((z - mean) * (-log_scale).exp())
        return u.square() / 2 - log_slope + log_scale + SHRINK * self.out[..., 1:].square().mean(dim=(1, 2))

    def latent(self, hidden: Tensor, u: Tensor, own: Tensor) -> Tensor:
        mean, log_scale, spline = self._parts(self.heads(hidden, own))
        return mean + log_scale.exp() * spline.inverse(u[..., 0])

    def noise(self, hidden: Tensor, z: Tensor, own: Tensor) -> Tensor:
        mean, log_scale, spline = self._parts(self.heads(hidden, own))
        return spline.forward((z - mean) * (-log_scale).exp())[0][..., None]

    def prior(self, fitted: Tensor) -> Tensor:
        return fitted[..., None]

    @staticmethod
    def _parts(heads: Tensor) -> tuple[Tensor, Tensor, Spline]:
        log_scale = 4 * (heads[..., 1] / 4).tanh()  # a spread of 0.02 to 50: an effect without noise stays invertible
        return heads[..., 0], log_scale, Spline.of(heads[..., 2:])


class Levels(Family):
    """What labels and categories share: k levels each, and their odds given the causes."""

    real: Tensor
    levels: Tensor

    def __init__(self, columns: Sequence[int], hidden: int, levels: Sequence[Sequence[float]]) -> None:
        super().__init__(columns, hidden, max(len(own) for own in levels))
        table = filled(levels)
        real = torch.tensor([[i < len(own) for i in range(table.shape[1])] for own in levels])
        self.register_buffer("real", real, persistent=False)
        self.register_buffer("levels", table)
        with torch.no_grad():  # two levels of a standardised label tell its rate
            for j, own in enumerate(levels):
                if len(own) == 2 and own[0] < 0 < own[1]:
                    self.constant[j, 1] = math.log(-own[0] / own[1])

    def loss(self, hidden: Tensor, z: Tensor) -> Tensor:
        log_p = self.heads(hidden).masked_fill(~self.real, -torch.inf).log_softmax(dim=-1)
        return -(between(z, self.levels.to(z.dtype)) * log_p.masked_fill(~self.real, 0)).sum(dim=-1)

    def shares(self, heads: Tensor, own: Tensor) -> Tensor:
        """P(level | causes) [k, b, n] of `heads` [b, n, k], none below `RAREST`; 0 past an attribute's last level.

        The levels come first, here and in what is made of it: so few of them are slow to run along.
        """
        real, heads = self.real[own].T[:, None], heads.movedim(-1, 0).contiguous()
        p = (heads - heads.amax(dim=0)).exp() * real
        p = p / p.sum(dim=0)
        return torch.where(real, p * (1 - RAREST * real.to(p.dtype).sum(dim=0)) + RAREST, 0)

    @abstractmethod
    def level(self, z: Tensor, own: Tensor) -> Tensor:
        """The level [b, n] nearest to each latent z [b, n]."""

    @abstractmethod
    def overlap(self, before: Tensor, after: Tensor, level: Tensor, own: Tensor) -> Tensor:
        """P(level' | level [b, n], the causes of both worlds, given by their hidden units) [b, n, k], exact."""

    @torch.no_grad()
    def settle(self, hidden: Tensor, z: Tensor) -> None:
        """Move the constants to where every level of z [b, n] is expected as often as it is seen.

        The likelihood's own condition, by iterative scaling: the last digits, that descent by small batches leaves.
        """
        own = torch.arange(len(self.columns), device=z.device)
        seen = between(z, self.levels.to(z.dtype)).mean(dim=0).clamp(min=RAREST)
        for _ in range(10):
            expected = self.shares(self.heads(hidden), own).mean(dim=1).T.clamp(min=RAREST)
            self.constant.add_(torch.where(self.real, (seen / expected).log(), 0))


class Labels(Levels):
    """Yes or no, and ordered categories: the level is how many thresholds t_l(pa) the noise is above.

    The cumulative model (McCullagh 1980) with free thresholds, u standard normal: P(u > t_l(pa)) is P(above l | pa).
    So one noise is shared by all worlds, monotonically. Where u stands between two thresholds is the degree at which
    the label is read: F(z | pa) = P(below l | pa) + P(l | pa) R_l(z), and u = Phi^-1(F), one to one.
    """

    counts: Tensor
    knots: Tensor

    def __init__(self, columns: Sequence[int], hidden: int, levels: Sequence[Sequence[float]]) -> None:
        super().__init__(columns, hidden, levels)
        ladder = Ladder.of(levels)
        self.register_buffer("counts", ladder.counts, persistent=False)
        self.register_buffer("knots", ladder.knots)

    @property
    def ladder(self) -> Ladder:
        """The levels and the degrees around them."""
        return Ladder(self.levels, self.counts, self.knots)

    def latent(self, hidden: Tensor, u: Tensor, own: Tensor) -> Tensor:
        lower, upper = normal_cdf(u[..., 0]), normal_cdf(-u[..., 0])
        p, below, above = self._stairs(hidden, own)
        passed = torch.where(lower < 0.5, lower > below + p, upper <= above)
        level = torch.minimum(passed.sum(dim=0), self.counts[own] - 1)
        share = at(p, level)
        rank = ((lower - at(below, level)) / share).clamp(LEAST, 1)
        anti = ((upper - at(above, level)) / share).clamp(LEAST, 1)
        return self.ladder[own].place(level, rank, anti)

    def noise(self, hidden: Tensor, z: Tensor, own: Tensor) -> Tensor:
        return self._within(hidden, *self.ladder[own].ranks(z), own)

    def draw(self, hidden: Tensor, z: Tensor, own: Tensor, generator: torch.Generator | None) -> Tensor:
        level, rank, anti, hard = self._read(z, own)
        drawn = torch.rand(z.shape, generator=generator, dtype=z.dtype, device=z.device).clamp(1e-12, 1 - 1e-12)
        rank, anti = torch.where(hard, drawn, rank), torch.where(hard, 1 - drawn, anti)
        return self._within(hidden, level, rank, anti, own)

    def prior(self, fitted: Tensor) -> Tensor:
        return torch.randn_like(fitted)[..., None]

    def level(self, z: Tensor, own: Tensor) -> Tensor:
        return self.ladder[own].level(z)

    def range(self, hidden: Tensor, z: Tensor, own: Tensor) -> Tensor:
        """Between which ranks the noise of z [b, n] lies, [b, n, 2]: one and the same where a degree says which."""
        level, rank, _, hard = self._read(z, own)
        p, below, _ = (at(part, level) for part in self._stairs(hidden, own))
        low, high = (below + p * torch.where(hard, end, rank) for end in (0.0, 1.0))
        return torch.stack([low, high], dim=-1).clamp(0, 1)

    def overlap(self, before: Tensor, after: Tensor, level: Tensor, own: Tensor) -> Tensor:
        """The share of the level's range of noise that is another level's under the other causes."""
        p, below, _ = self._stairs(before, own)
        q, other, _ = self._stairs(after, own)
        low, share = at(below, level), at(p, level)
        common = (torch.minimum(other + q, low + share) - torch.maximum(other, low)).clamp(min=0)
        return (common / share).movedim(0, -1)

    def _read(self, z: Tensor, own: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As `Ladder.ranks` of z [b, n], and which of z are labels and no degrees."""
        ladder = self.ladder[own]
        level, rank, anti = ladder.ranks(z)
        return level, rank, anti, (z - ladder.levels.gather(1, level.T).T).abs() < AT_LEVEL * ladder.step

    def _within(self, hidden: Tensor, level: Tensor, rank: Tensor, anti: Tensor, own: Tensor) -> Tensor:
        """The noise [b, n, 1] at a rank [b, n] of a level's range; from whichever end is nearer, to lose no digit."""
        p, below, above = (at(part, level) for part in self._stairs(hidden, own))
        lower, upper = (below + p * rank).clamp(min=LEAST), (above + p * anti).clamp(min=LEAST)
        low = lower < upper
        u = torch.special.ndtri(torch.where(low, lower, upper).clamp(max=0.5))
        return torch.where(low, u, -u)[..., None]

    def _stairs(self, hidden: Tensor, own: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """P(level), P(below it) and P(above it), given the causes, each [k, b, n]; small ones to their last digit."""
        p = self.shares(self.heads(hidden, own), own)
        nothing = torch.zeros_like(p[:1])
        below, above = p[:-1].cumsum(dim=0), p[1:].flip(0).cumsum(dim=0).flip(0)
        return p, torch.cat([nothing, below]), torch.cat([above, nothing])


class Choices(Levels):
    """Unordered categories: the level with the greatest log P(level | pa) + g, g one Gumbel noise for each level.

    Gumbel-max (Oberst and Sontag 2019; Pawlowski et al. 2020, appendix). The latent is the chosen level's; its noise
    is how far a reading is beside its level (0 where none is), then k Gumbel variables.
    """

    def __init__(self, columns: Sequence[int], hidden: int, levels: Sequence[Sequence[float]]) -> None:
        super().__init__(columns, hidden, levels)
        self.width = 1 + self.levels.shape[1]

    def latent(self, hidden: Tensor, u: Tensor, own: Tensor) -> Tensor:
        level = (self.log_shares(hidden, own) + u[..., 1:]).argmax(dim=-1)
        return self.levels[own].gather(1, level.T).T + u[..., 0]

    def noise(self, hidden: Tensor, z: Tensor, own: Tensor) -> Tensor:
        first = torch.full_like(z, gumbel.MEDIAN)[..., None]
        return self._behind(hidden, z, own, first, first.expand(*z.shape, self.width - 1))

    def draw(self, hidden: Tensor, z: Tensor, own: Tensor, generator: torch.Generator | None) -> Tensor:
        first = gumbel.waiting(torch.Size((*z.shape, 1)), z, generator)
        others = gumbel.waiting(torch.Size((*z.shape, self.width - 1)), z, generator)
        return self._behind(hidden, z, own, first, others)

    def prior(self, fitted: Tensor) -> Tensor:
        shape = torch.Size((*fitted.shape, self.width - 1))
        noise = -gumbel.waiting(shape, fitted.double(), None).log().to(fitted.dtype)
        return torch.cat([torch.zeros_like(fitted)[..., None], noise], dim=-1)

    def level(self, z: Tensor, own: Tensor) -> Tensor:
        middle = (self.levels[own, 1:] + self.levels[own, :-1]) / 2
        return torch.minimum((z[..., None] > middle).sum(dim=-1), self.real[own].sum(dim=-1) - 1)

    def overlap(self, before: Tensor, after: Tensor, level: Tensor, own: Tensor) -> Tensor:
        p, q = self.log_shares(before, own).exp(), self.log_shares(after, own).exp()
        return gumbel.counterfactual(p, q, level)

    def log_shares(self, hidden: Tensor, own: Tensor) -> Tensor:
        """Log P(level | causes) [b, n, k]."""
        return self.shares(self.heads(hidden, own), own).movedim(0, -1).clamp(min=LEAST).log()

    def _behind(self, hidden: Tensor, z: Tensor, own: Tensor, first: Tensor, others: Tensor) -> Tensor:
        level = self.level(z, own)
        beside = z - self.levels[own].gather(1, level.T).T
        noise = gumbel.posterior(self.log_shares(hidden, own), level, first, others)
        return torch.cat([beside[..., None], noise], dim=-1)


def at(part: Tensor, level: Tensor) -> Tensor:
    """Of [k, b, n] what stands at level [b, n]."""
    return part.gather(0, level[None])[0]


def between(z: Tensor, levels: Tensor) -> Tensor:
    """How far latents z [b, n] belong to each of levels [n, k]: 1 at a level, shared by its neighbours in between."""
    climbed = ((z[..., None] - levels[:, :-1]) / (levels[:, 1:] - levels[:, :-1])).clamp(0, 1)
    return torch.cat([torch.ones_like(z)[..., None], climbed], -1) - torch.cat(
        [climbed, torch.zeros_like(z)[..., None]], -1
    )
