"""The attribute predictor: reads attributes from pictures, trained on real ones only, never on a model's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ccigkit.attributes import Attributes
from ccigkit.files import cache_folder, writing
from ccigkit.interfaces import DataModule, Split
from ccigkit.networks.dcgan import DCGANEncoder
from ccigkit.objectives.terms import supervision
from ccigkit.training import batch_rows, choose_device, choose_dtype, read_batch

STEPS, BATCH, RATE, VERSION = 1200, 64, 2e-3, 1


class Predictor:
    """A small convolutional network from images to attribute values."""

    def __init__(self, attributes: Attributes, network: DCGANEncoder, device: torch.device) -> None:
        self.attributes, self.network, self.device = attributes, network.eval().to(device), device

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        """Attribute values [n, d] in own units, kept to the range seen in training, of images [n, c, h, w]."""
        latents = torch.cat([self.network(chunk.to(self.device)).mean.cpu() for chunk in image.split(256)])
        low = torch.tensor([attribute.low for attribute in self.attributes])
        high = torch.tensor([attribute.high for attribute in self.attributes])
        return self.attributes.to_values(latents).clamp(low, high)


def predictor(
    data: DataModule, *, seed: int = 0, steps: int = STEPS, progress: Callable[[float], None] = lambda _: None
) -> Predictor:
    """The predictor for a data set: from the cache if it was trained on these very images, else trained now.

    `progress` is told the share of training done.
    """
    split, attributes, device = data.load("train"), data.table().attributes, choose_device("auto")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DCGANEncoder(data.image_shape, len(attributes))
        path = cache_folder() / "predictors" / f"{_fingerprint(split, attributes, seed, steps)}.safetensors"
        if not _load(network, path):
            _train(network.to(device), split, attributes, device, seed, steps, progress)
            with writing(path) as temporary:
                temporary.write_bytes(save({key: tensor.cpu() for key, tensor in network.state_dict().items()}))
    return Predictor(attributes, network, device)


def _load(network: DCGANEncoder, path: Path) -> bool:
    """Whether the cache had the network; a damaged file counts as none, and is written anew."""
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError):
        return False
    return True


def _train(
    network: DCGANEncoder,
    split: Split,
    attributes: Attributes,
    device: torch.device,
    seed: int,
    steps: int,
    progress: Callable[[float], None],
) -> None:
    latents = attributes.to_latent(torch.as_tensor(split.values)).float().to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    dtype = choose_dtype("auto", device)
    for step in range(steps):
        batch = read_batch(split, latents, batch_rows(len(split), BATCH, step, seed), device)
        with torch.autocast(device.type, dtype, enabled=dtype is not torch.float32):
            read = network(batch.image).mean
        optimizer.zero_grad()
        supervision(read, batch.attributes, attributes).backward()
        optimizer.step()
        schedule.step()
        progress((step + 1) / steps)


def _fingerprint(split: Split, attributes: Attributes, seed: int, steps: int) -> str:
    """A hash of what the predictor is trained on, and how."""
    sample = split.images[:: max(1, len(split) // 64)]
    digest = hashlib.sha256(sample.contiguous().numpy().tobytes())
    digest.update(split.values.tobytes())
    digest.update(json.dumps([attributes.to_json(), seed, steps, BATCH, RATE, VERSION]).encode())
    return digest.hexdigest()[:16]
