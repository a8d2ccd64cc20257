"""How far two samples of features [n, k] and [m, k] are apart."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Kernel = Callable[[Tensor, Tensor], Tensor]  # samples [n, k] and [m, k]: of every pair [n, m]
SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)
ROWS = 250  # of a kernel in memory at a time


def frechet(x: Tensor, y: Tensor) -> float:
    """The Fréchet distance between the Gaussians of two samples (Heusel et al., 2017), in double precision.

    |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)); the last trace is that of (S^(1/2) S' S^(1/2))^(1/2), which is symmetric.
    """
    x, y = x.double(), y.double()
    cov_x, cov_y = torch.cov(x.T), torch.cov(y.T)
    levels, axes = torch.linalg.eigh(cov_x)
    root = axes * levels.clamp(min=0).sqrt() @ axes.T
    shared = torch.linalg.eigvalsh(root @ cov_y @ root).clamp(min=0).sqrt().sum()
    means = (x.mean(dim=0) - y.mean(dim=0)).square().sum()
    return float(means + cov_x.trace() + cov_y.trace() - 2 * shared)


def kid(x: Tensor, y: Tensor) -> float:
    """The kernel distance of Binkowski et al. (2018): unbiased MMD^2 under the kernel (x.y / k + 1)^3."""
    x, y = x.double(), y.double()

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    return _unbiased(kernel, x, y)


def mmd(x: Tensor, true: Tensor) -> float:
    """Unbiased MMD^2 (Gretton et al., 2012) under five Gaussian kernels, around the median distance in the true sample.

    It is about 0, and may be below, where the two are of one distribution.
    """
    x, true = x.double(), true.double()
    median = torch.cdist(true, true)[~torch.eye(len(true), dtype=torch.bool)].median()

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        square = torch.cdist(a, b).square()
        return torch.stack([torch.exp(-square / (2 * (scale * median) ** 2)) for scale in SCALES]).mean(dim=0)

    return _unbiased(kernel, x, true)


def energy(x: Tensor, y: Tensor) -> float:
    """The energy distance 2 E|x - y| - E|x - x'| - E|y - y'| (Székely and Rizzo, 2013), unbiased."""
    return -_unbiased(torch.cdist, x.double(), y.double())


def total_variation(x: Tensor, true: Tensor, edges: Tensor) -> float:
    """The total variation distance between two samples [n] and [m], in the bins that the inner borders make."""
    shares = [
        torch.bincount(torch.bucketize(v.contiguous(), edges), minlength=len(edges) + 1).double() / len(v)
        for v in (x, true)
    ]
    return float((shares[0] - shares[1]).abs().sum() / 2)


def _unbiased(kernel: Kernel, x: Tensor, y: Tensor) -> float:
    """E k(x, x') + E k(y, y') - 2 E k(x, y), no sample paired with itself."""
    n, m = len(x), len(y)
    within_x = (_total(kernel, x, x) - _diagonal(kernel, x)) / (n * (n - 1))
    within_y = (_total(kernel, y, y) - _diagonal(kernel, y)) / (m * (m - 1))
    return float(within_x + within_y - 2 * _total(kernel, x, y) / (n * m))


def _total(kernel: Kernel, x: Tensor, y: Tensor) -> Tensor:
    """The sum of k over all pairs; few of them are in memory at a time."""
    return torch.stack([kernel(some, y).sum() for some in x.split(ROWS)]).sum()


def _diagonal(kernel: Kernel, x: Tensor) -> Tensor:
    """The sum of k over every sample with itself."""
    return torch.stack([kernel(some, some).trace() for some in x.split(ROWS)]).sum()
