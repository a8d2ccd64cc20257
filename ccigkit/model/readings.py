"""What a model reads off the pictures it was trained with, as a table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ccigkit.causal.attributes import Table
from ccigkit.data.base import DataModule
from ccigkit.errors import DataError
from ccigkit.image.base import ReadsAttributes
from ccigkit.model.calibration import BATCH, read
from ccigkit.model.model import CausalImageModel


def can_read(model: CausalImageModel) -> bool:
    """Whether a model reads labels off pictures, so that `readings` has something that the table has not."""
    return isinstance(model.image, ReadsAttributes) and any(a.labelled for a in model.attributes)


def readings(model: CausalImageModel, data: DataModule, table: Table) -> Table:
    """The table with a continuous degree for each label: what the model reads of it off the row's own picture.

    The degree is the latent of the reading, a standardised logit. Numbers, degrees and categories stay as the table
    has them. The pictures are those that the model was trained with, labels and all; reading them by a model that never
    saw them changed little in what was measured (docs/structure.md).

    Args:
        model: one that reads (`can_read`).
        data: the data set that it was trained on.
        table: the attributes of its training split, `data.table()`.

    Raises:
        DataError: where the model reads no labels or is of other attributes, and where all its readings of one are
            equal, as before any training.
    """
    if model.attributes.names != table.names:
        ours, theirs = (", ".join(names) for names in (model.attributes.names, table.names))
        raise DataError(f"the model reads {ours}, the table has {theirs}")
    if not can_read(model):
        raise DataError("the model reads no labels off pictures: the table says all there is; learn from that alone")
    z = read(model, data.in_batches(torch.arange(len(table.values)).split(BATCH))).double().cpu().numpy()
    labels = [attribute.labelled for attribute in model.attributes]
    values = np.where(labels, z, table.values)
    attributes = [
        replace(a, kind="continuous", unit="", levels=()) if labelled else a
        for a, labelled in zip(table.attributes, labels, strict=True)
    ]
    return Table.fit(attributes, values, table.truth)
