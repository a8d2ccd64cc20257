"""The Gaussian copula: noise of several attributes that goes together, whatever the distribution of each.

Noise enters by its ranks, in [0, 1], as every attribute has its own distribution. A label tells of its noise only
between which two ranks it lies. The columns of ranks are attributes; correlations are those of their normal scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

NODES, STRONGEST = 24, 0.995  # of a quadrature, and the strongest correlation
POINT = 1e-4  # how wide a rank that is known exactly counts for a likelihood
SWEEPS = 16  # of Gibbs sampling, for noise drawn from several ranges at once
NEAREST, LEAST = 200, 1e-6  # steps to the nearest matrix of correlations, and its smallest eigenvalue
END = 1e-12  # a rank is at least so far from 0 and from 1
INSIDE = 1e-6  # share of a range at either end where nothing is drawn, as there it borders on another label


def correlated(ranks: Tensor, correlation: Tensor, columns: Tensor) -> Tensor:
    """Independent uniform ranks [n, d] with those of some columns [c] made to go together by `correlation` [d, d]."""
    factor = torch.linalg.cholesky(correlation[columns][:, columns])
    scores = normal_scores(ranks[:, columns]) @ factor.T
    return ranks.index_copy(1, columns, torch.special.ndtr(scores).to(ranks))


def ranks(noise: Tensor, quantiles: Tensor) -> tuple[Tensor, Tensor]:
    """Between which ranks [n, d] noise [n, d] lies, of a distribution given by evenly spaced quantiles [q, d]."""
    noise, table = noise.detach().T.contiguous(), quantiles.T.contiguous()
    near = 1e-5 * (table[:, -1:] - table[:, :1]).clamp(min=1e-12)
    last = len(quantiles) - 1
    first = torch.searchsorted(table, noise - near).clamp(max=last)
    behind = torch.searchsorted(table, noise + near, right=True)
    before = (first - 1).clamp(min=0)
    low, high = table.gather(1, before), table.gather(1, first)
    share = ((noise - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
    between = (before + share).clamp(0.5, last - 0.5)
    met = behind > first + 1  # several quantiles are this very number: it has all of their ranks
    low, high = torch.where(met, first.to(between), between), torch.where(met, (behind - 1).to(between), between)
    return low.T.double() / last, high.T.double() / last


def fitted(low: Tensor, high: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
    """The correlations [d, d] of these pairs of columns, from the ranks [n, d] between which their noise lies.

    Each pair's by maximum likelihood, the margins being known (inference functions for margins, Joe 1997): tetrachoric
    correlation for labels (Pearson 1900), polyserial for a label and a number, and that of the normal scores for two
    numbers. The nearest matrix that is one of correlations and leaves other pairs uncorrelated is taken.
    """
    found = torch.eye(low.shape[1], dtype=torch.float64, device=low.device)
    for i, j in pairs:
        found[i, j] = found[j, i] = pairwise(low[:, [i, j]], high[:, [i, j]])
    return nearest(found)


def pairwise(low: Tensor, high: Tensor) -> float:
    """The most likely correlation of two columns of noise that lies between ranks [n, 2]."""
    exact = high - low < POINT
    low = torch.where(exact, (low + high) / 2 - POINT / 2, low).clamp(0, 1 - POINT / 2)
    high = torch.where(exact, low + POINT, high).clamp(POINT / 2, 1)
    if bool(exact.float().mean(dim=0).diff() > 0):  # the quadrature runs over the narrower one
        low, high = low.flip(1), high.flip(1)
    rows, counts = torch.cat([low, high], dim=1).unique(dim=0, return_counts=True)
    nodes, weights = (torch.as_tensor(part, device=low.device) for part in np.polynomial.legendre.leggauss(NODES))
    at = normal_scores(rows[:, :1] + (rows[:, 2:3] - rows[:, :1]) * (nodes + 1) / 2)  # [rows, nodes]
    bottom, top = (torch.special.ndtri(rows[:, [column]]) for column in (1, 3))

    def cost(correlation: float) -> float:
        spread = (1 - correlation**2) ** 0.5
        inside = torch.special.ndtr((top - correlation * at) / spread)
        inside = inside - torch.special.ndtr((bottom - correlation * at) / spread)
        likelihood = (inside.clamp(min=0) * weights).sum(dim=1) / 2
        return -float((counts * likelihood.clamp(min=1e-300).log()).sum())

    answer = minimize_scalar(cost, bounds=(-STRONGEST, STRONGEST), method="bounded", options={"xatol": 1e-3})
    return float(answer.x)


def nearest(wanted: Tensor) -> Tensor:
    """The nearest matrix of correlations [d, d] to a symmetric one, that is 0 wherever that is 0.

    Alternating projections with Dykstra's correction (Higham 2002); what they leave undone, shrinking does.
    """
    zeros, matrix = wanted == 0, wanted
    if float(torch.linalg.eigvalsh(wanted)[0]) >= LEAST:
        return wanted
    correction = torch.zeros_like(wanted)
    for _ in range(NEAREST):
        values, vectors = torch.linalg.eigh(matrix - correction)
        positive = vectors * values.clamp(min=LEAST) @ vectors.T
        correction = positive - (matrix - correction)
        matrix = positive.masked_fill(zeros, 0).fill_diagonal_(1)
    least = float(torch.linalg.eigvalsh(matrix)[0])
    share = min(1.0, (1 - LEAST) / (1 - least))  # of its way from no correlation at all
    return share * matrix + (1 - share) * torch.eye(len(matrix)).to(matrix)


def redrawn(drawn: Tensor, low: Tensor, high: Tensor, correlation: Tensor, generator: torch.Generator | None) -> Tensor:
    """Ranks [n, d] drawn from between two others [n, d], correlated; `drawn` is where to start, each drawn by itself.

    Gibbs sampling of a truncated normal distribution (Geweke 1991): each column in turn given all others.
    """
    precision = torch.linalg.inv(correlation)
    scores, answer = normal_scores(drawn), drawn.clone()
    between = high > low
    low, high = low + INSIDE * (high - low), high - INSIDE * (high - low)
    bottom, top = torch.special.ndtri(low), torch.special.ndtri(high)
    for _ in range(SWEEPS):
        for j in range(drawn.shape[1]):
            spread = precision[j, j] ** -0.5
            rest = scores @ precision[:, j] - scores[:, j] * precision[j, j]
            mean = -rest / precision[j, j]
            under, over = (torch.special.ndtr((end[:, j] - mean) / spread) for end in (bottom, top))
            chance = torch.rand(len(drawn), generator=generator, dtype=drawn.dtype, device=drawn.device)
            score = mean + spread * normal_scores(under + chance * (over - under))
            rank = torch.minimum(torch.maximum(torch.special.ndtr(score), low[:, j]), high[:, j])
            answer[:, j] = torch.where(between[:, j], rank, drawn[:, j])
            scores[:, j] = normal_scores(answer[:, j])
    return answer


def normal_scores(ranks: Tensor) -> Tensor:
    """The normal scores of ranks, in double precision."""
    scores: Tensor = torch.special.ndtri(ranks.double().clamp(END, 1 - END))
    return scores
