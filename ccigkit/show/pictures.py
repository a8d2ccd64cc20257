"""Pictures of a model: samples as training goes, test images under each do()."""

from __future__ import annotations

from pathlib import Path

from ccigkit.data.base import DataModule
from ccigkit.model.model import CausalImageModel
from ccigkit.names import elided
from ccigkit.pixels import to_float
from ccigkit.show.images import save_rows

SHOWN = 8  # images in a row of a picture


def sample_picture(model: CausalImageModel, path: Path, data: DataModule) -> None:
    """A grid as training goes: test images, their reconstructions, new samples."""
    device = next(model.parameters()).device
    real = to_float(data.load("test").images[:SHOWN]).to(device)
    new = model.sample(2 * SHOWN, seed=0)
    rows = [("real", real), ("again", model.reconstruct(real)), ("new", new[:SHOWN]), ("new", new[SHOWN:])]
    save_rows(rows, path)


def interventions_picture(model: CausalImageModel, data: DataModule, path: Path) -> None:
    """Eight test images, and each of them under every single do()."""
    device = next(model.parameters()).device
    real = to_float(data.load("test").images[:SHOWN]).to(device)
    rows = [("real", real), ("again", model.reconstruct(real))]
    for attribute in model.attributes:
        name = elided(attribute.name)
        if attribute.kind == "continuous":
            for share in (0.1, 0.9):
                value = attribute.low + share * (attribute.high - attribute.low)
                rows.append((f"do({name} = {value:.2g})", model.counterfactual(real, {attribute.name: value})))
        else:
            for category in attribute.categories or ("0", "1"):
                image = model.counterfactual(real, {attribute.name: category})
                rows.append((f"do({name} = {elided(category)})", image))
    save_rows(rows, path, "test images, as the model sees them, and under each do()")
