"""Batches: rows of a step, and their images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import tee

import torch
from torch import Tensor

from ccigkit.data.base import DataModule, Split
from ccigkit.objectives.base import Batch
from ccigkit.pixels import to_float
from ccigkit.training.processes import ALONE, Team


def batch_rows(n: int, size: int, step: int, seed: int) -> Tensor:
    """The rows [size] of one step: a pure function of seed and step, so a resumed run sees the same data.

    Every epoch is a new permutation; its last batch is filled from the next.
    """
    first = step * size
    epochs = range(first // n, (first + size - 1) // n + 1)
    order = torch.cat([torch.randperm(n, generator=torch.Generator().manual_seed(seed + 7919 * e)) for e in epochs])
    start = first - epochs.start * n
    return order[start : start + size]


def batches(
    data: DataModule, latents: Tensor, size: int, steps: Iterable[int], seed: int, team: Team = ALONE
) -> Iterator[Batch]:
    """The batch of each step, where the latents [n, d] are: images in [-1, 1] and the latents of the same rows.

    Of several processes each has its share of the rows.
    """
    rows, wanted = tee(batch_rows(len(latents), size, step, seed) for step in steps)
    for these, pixels in zip(rows, data.in_batches(map(team.share, wanted)), strict=True):
        whole = latents[these.to(latents.device)]
        part = as_batch(pixels, team.share(whole), latents.device)
        yield part if team.count == 1 else replace(part, whole=whole)


def read_batch(split: Split, latents: Tensor, rows: Tensor, device: torch.device) -> Batch:
    """The images and attributes of some rows, on the device, images in [-1, 1]."""
    return as_batch(split.images.index_select(0, rows), latents[rows.to(latents.device)], device)


def shares(batch: Batch, parts: int) -> Iterator[Batch]:
    """A batch in so many parts, as equal as they can be."""
    if parts == 1:
        yield batch
    else:
        for image, attributes in zip(
            batch.image.tensor_split(parts), batch.attributes.tensor_split(parts), strict=True
        ):
            yield Batch(image, attributes, batch.step_attributes)


def as_batch(pixels: Tensor, latents: Tensor, device: torch.device) -> Batch:
    """Images [b, c, h, w] as uint8, and their attributes, as a batch on the device, images in [-1, 1]."""
    image = to_float(pixels.to(device, non_blocking=True))
    return Batch(image.contiguous(memory_format=torch.channels_last), latents)
