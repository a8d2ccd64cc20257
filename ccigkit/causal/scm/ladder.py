"""Labels on the latent scale: at one of their levels or a degree beside it, and where in its level a degree stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SCORES = torch.cat([torch.tensor([-5.0]), torch.arange(-17, 18) / 4, torch.tensor([5.0])]).double()
NARROW = 0.03  # spread of a level's degrees before any was read, as a share of the step to the next level
DEGREES = torch.cat([torch.tensor([-0.2]), NARROW * torch.arange(-17, 18) / 4, torch.tensor([0.2])]).double()
BEYOND = 0.25  # scale of the tails outside the first and the last level, as a share of that step
RANKS = torch.cat([torch.zeros(1), torch.erfc(-SCORES / 2**0.5) / 2, torch.ones(1)])
LEAST = 1e-30
Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Ladder:
    """The degrees at which n labels of up to k levels are read: for each level a distribution over the line.

    Each level has the part of the line that is nearer to it than to its neighbours, and a distribution there of its
    own: R_l, linear between `knots` at fixed ranks. Nearly all of it lies around the level, so that a draw hardly ever
    lies between two; 3e-7 of it spans the rest, so that every place on the line has its rank and every rank its place.
    Before anything is read the degrees are normal and narrow; `calibrated` takes them from an encoder's readings.

    Attributes:
        levels: the latent of each level [n, k], increasing; filled up beyond an attribute's last.
        counts: how many levels each label has, [n].
        knots: [n, k, q + 2], the quantiles of each level's degrees at the ranks of `SCORES`, between its borders.
    """

    levels: Tensor
    counts: Tensor
    knots: Tensor

    @classmethod
    def of(cls, levels: Sequence[Sequence[float]]) -> Ladder:
        """A ladder of the given levels, nothing read yet."""
        steps = [(own[-1] - own[0]) / (len(own) - 1) for own in levels]
        table, counts = filled(levels), torch.tensor([len(own) for own in levels])
        step = torch.tensor(steps, dtype=torch.float64)[:, None]
        middle, far = (table[:, 1:] + table[:, :-1]) / 2, 1e6 * step
        low = torch.cat([table[:, :1] - far, middle], dim=1)
        high = torch.cat([middle, table[:, -1:] + far], dim=1)
        inner = table[..., None] + step[..., None] * DEGREES
        return cls(table, counts, torch.cat([low[..., None], inner, high[..., None]], dim=-1))

    def __getitem__(self, own: Tensor) -> Ladder:
        return Ladder(self.levels[own], self.counts[own], self.knots[own])

    @property
    def step(self) -> Tensor:
        """The mean step from level to level, [n]."""
        last = self.levels.gather(1, self.counts[:, None] - 1)[:, 0]
        return (last - self.levels[:, 0]) / (self.counts - 1)

    def level(self, z: Tensor) -> Tensor:
        """The level [b, n] nearest to each reading z [b, n]."""
        middle = (self.levels[:, 1:] + self.levels[:, :-1]) / 2
        found = (z.detach() > middle.T[:, None]).sum(dim=0)
        return torch.minimum(found, self.counts - 1)

    def ranks(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The level of readings z [b, n], their rank in it, and one minus that rank (both exact near 0), all [b, n]."""
        level, width = self.level(z), self.knots.shape[-1]
        flat = self.knots.flatten(1).contiguous()
        at = torch.searchsorted(flat, z.detach().to(flat.dtype).T.contiguous(), right=True).T - 1 - level * width
        at = at.clamp(0, width - 2)
        low, high, below, above = self._segment(level, at)
        share = ((z - low) / (high - low)).clamp(0, 1)
        rank = below[0] + share * (above[0] - below[0])
        anti = above[1] + (1 - share) * (below[1] - above[1])
        tail = self.step * BEYOND
        first, last = (at == 0) & (level == 0), (at == width - 2) & (level == self.counts - 1)
        lower = above[0] * torch.exp((torch.minimum(z, high) - high) / tail)
        upper = below[1] * torch.exp((low - torch.maximum(z, low)) / tail)
        rank, anti = torch.where(first, lower, rank), torch.where(first, 1 - lower, anti)
        return level, torch.where(last, 1 - upper, rank), torch.where(last, upper, anti)

    def place(self, level: Tensor, rank: Tensor, anti: Tensor) -> Tensor:
        """The reading [b, n] of a level, a rank in it and one minus that rank: `ranks` turned round."""
        width = self.knots.shape[-1]
        ranks, antis = self._grid()
        from_below = torch.searchsorted(ranks, rank.detach().contiguous(), right=True) - 1
        from_above = width - 1 - torch.searchsorted(antis.flip(0), anti.detach().contiguous(), right=False)
        at = torch.where(rank.detach() < 0.5, from_below, from_above).clamp(0, width - 2)
        low, high, below, above = self._segment(level, at)
        up = low + (high - low) * ((rank - below[0]) / (above[0] - below[0]))
        down = high - (high - low) * ((anti - above[1]) / (below[1] - above[1]))
        z = torch.where(rank < 0.5, up, down)
        tail = self.step * BEYOND
        first, last = (at == 0) & (level == 0), (at == width - 2) & (level == self.counts - 1)
        z = torch.where(first, high + tail * (torch.where(first, rank, above[0]).clamp(min=LEAST) / above[0]).log(), z)
        return torch.where(last, low - tail * (torch.where(last, anti, below[1]).clamp(min=LEAST) / below[1]).log(), z)

    @torch.no_grad()
    def calibrated(self, z: Tensor, labels: Tensor) -> Ladder:
        """The degrees of each level taken from readings z [b, n] of rows whose labels (levels) [b, n] are known.

        A reading on the wrong side of a border counts as at the border. A level without 20 rows stays as it is.
        """
        ranks, knots = normal_cdf(SCORES).to(z.device), self.knots.clone()
        least = 1e-4 * NARROW * self.step
        for j, count in enumerate(self.counts.tolist()):
            for level in range(count):
                rows = z[labels[:, j] == level, j].to(knots.dtype)
                if len(rows) >= 20:
                    knots[j, level, 1:-1] = _apart(torch.quantile(rows, ranks), knots[j, level], float(least[j]))
        return Ladder(self.levels, self.counts, knots)

    def _grid(self) -> tuple[Tensor, Tensor]:
        """The ranks of the knots, and one minus them, each exact near 0."""
        return RANKS.to(self.knots), RANKS.flip(0).to(self.knots)

    def _segment(self, level: Tensor, at: Tensor) -> tuple[Tensor, Tensor, Pair, Pair]:
        """Both ends of segments `at` [b, n]: as readings, and as ranks with one minus them."""
        n, k, width = self.knots.shape
        grid = torch.stack(self._grid()).expand(n, k, 2, width)
        ends = torch.cat([self.knots[:, :, None], grid], dim=2)
        table = torch.cat([ends[..., :-1], ends[..., 1:]], dim=2).transpose(2, 3).reshape(-1, 6)  # one look for all six
        row = (torch.arange(n, device=at.device) * k + level) * (width - 1) + at
        found = table.index_select(0, row.flatten()).view(*at.shape, 6)
        low, rank0, anti0, high, rank1, anti1 = found.unbind(dim=-1)
        return low, high, (rank0, anti0), (rank1, anti1)


def normal_cdf(x: Tensor) -> Tensor:
    """Phi(x), to its last digit far below 0 too, where `torch.special.ndtr` has none left."""
    return torch.erfc(-x / 2**0.5) / 2


def filled(levels: Sequence[Sequence[float]]) -> Tensor:
    """Levels of several attributes as one table [n, k], the shorter ones continued out of any reading's way."""
    k = max(len(own) for own in levels)
    wide = [4 * (own[-1] - own[0]) / (len(own) - 1) for own in levels]
    rows = [[*own, *(own[-1] + w * (i + 1) for i in range(k - len(own)))] for own, w in zip(levels, wide, strict=True)]
    return torch.tensor(rows, dtype=torch.float64)


def _apart(found: Tensor, knots: Tensor, least: float) -> Tensor:
    """Quantiles [q] made to increase by at least `least`, inside the first and the last of knots [q + 2]."""
    room = least * torch.arange(1, len(found) + 1, device=found.device, dtype=found.dtype)
    found = torch.maximum((found - room).cummax(dim=0).values, knots[0]) + room
    return torch.minimum(found, knots[-1] - room.flip(0))
