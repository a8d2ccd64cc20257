"""Whether a model's readings of labels mean what they say, and at which degrees it reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit, logit
from torch import Tensor

from ccigkit.causal.attributes import SURE, Attribute, Table
from ccigkit.causal.scm.base import SCM
from ccigkit.data.base import DataModule, Split
from ccigkit.image.base import ReadsAttributes
from ccigkit.model.model import CausalImageModel
from ccigkit.pixels import to_float

BINS, MOST, BATCH = 15, 4096, 128
Column = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """The expected calibration error of one label's readings on held-out images, in [0, 1], and what would lower it.

    A reading's logit times `scale` plus `shift` has the error `tempered`; both were fitted on other held-out images
    (Guo et al. 2017, with a shift). They are 1 and 0 where that did not lower the error of the images they were fitted
    on. The order of the images within their label, which the causal model goes by, is the same either way.
    """

    label: str
    error: float
    scale: float
    shift: float
    tempered: float


def calibrations(model: CausalImageModel, held_out: Split) -> list[Calibration]:
    """How well a model's readings of every label are calibrated; nothing for a model that reads no images.

    Every second image of a split (at most 4,096 of it) is for fitting, the others for the errors.
    """
    labels = [(j, attribute) for j, attribute in enumerate(model.attributes) if attribute.labelled]
    rows = spread_over(len(held_out))
    if not labels or len(rows) < 2 * BINS or not isinstance(model.image, ReadsAttributes):
        return []
    z = read(model, (held_out.images[chunk] for chunk in rows.split(BATCH))).double()
    values = held_out.values[rows.numpy()]
    return [calibration(a, probability(a, z[:, j]).numpy(), values[:, j]) for j, a in labels]


def fit_degrees(model: CausalImageModel, data: DataModule, table: Table) -> None:
    """Tell a model's SCM at which degrees its image mechanism reads labels, from the training images."""
    deaf = type(model.scm).calibrate is SCM.calibrate  # to which a degree is a number like any other
    if deaf or not any(a.labelled for a in model.attributes) or not isinstance(model.image, ReadsAttributes):
        return
    rows = spread_over(len(table.values))
    z = read(model, data.in_batches(rows.split(BATCH)))
    model.scm.calibrate(z, torch.as_tensor(table.latents)[rows].to(z))


def spread_over(n: int) -> Tensor:
    """Rows enough, from all over a split of n."""
    return torch.arange(0, n, max(1, -(-n // MOST)))


@torch.no_grad()
def read(model: CausalImageModel, images: Iterable[Tensor]) -> Tensor:
    """The latents z [n, d] that a model reads off images that come as bytes, a few [b, c, h, w] at a time."""
    assert isinstance(model.image, ReadsAttributes)
    device = model.scm.quantiles.device
    return torch.cat([model.causal.inputs.latents(model.image.read(to_float(some).to(device))[0]) for some in images])


def probability(label: Attribute, z: Tensor) -> Tensor:
    """The probability [n] of label 1 that readings z [n] mean: the degree at a label's level is sure of it."""
    return ((label.to_value(z) - SURE) / (1 - 2 * SURE)).clamp(0, 1)


def calibration(label: Attribute, claimed: Column, seen: Column) -> Calibration:
    """The calibration of probabilities [n] claimed for a label that was seen [n] as 0 or 1."""
    fitting, rest = slice(0, None, 2), slice(1, None, 2)
    scale, shift = tempered(claimed[fitting], seen[fitting])
    before, after = (calibration_error(p[fitting], seen[fitting]) for p in (claimed, warmed(claimed, scale, shift)))
    if after >= before:
        scale, shift = 1.0, 0.0
    error = calibration_error(claimed[rest], seen[rest])
    lowered = (
        error if (scale, shift) == (1.0, 0.0) else calibration_error(warmed(claimed, scale, shift)[rest], seen[rest])
    )
    return Calibration(label.name, error, scale, shift, lowered)


def calibration_error(claimed: Column, seen: Column, bins: int = BINS) -> float:
    """The mean distance of claimed probabilities [n] from the rates seen [n], over bins of equally many (Guo 2017)."""
    order = np.argsort(claimed, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return sum(abs(float(claimed[part].mean() - seen[part].mean())) * len(part) for part in parts) / len(claimed)


def tempered(claimed: Column, seen: Column) -> tuple[float, float]:
    """The scale and shift of the logits of probabilities [n] under which labels seen [n] are likeliest.

    By Newton's method, with a pinch of a prior for 1 and 0, so that readings without a fault have a finite answer.
    """
    x, w = np.stack([_logit(claimed), np.ones_like(claimed)]), np.array([1.0, 0.0])
    for _ in range(50):
        p = expit(w @ x)
        slope = x @ (p - seen) + w - [1, 0]
        curve = (x * p * (1 - p)) @ x.T + np.eye(2)
        step = np.linalg.solve(curve, slope)
        w = w - step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    return float(w[0]), float(w[1])


def warmed(claimed: Column, scale: float, shift: float) -> Column:
    """Probabilities [n] at another scale and shift of their logits."""
    return np.asarray(expit(scale * _logit(claimed) + shift))


def _logit(p: Column) -> Column:
    return np.asarray(logit(np.clip(p, 1e-4, 1 - 1e-4)))
