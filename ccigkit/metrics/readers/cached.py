"""What metrics train for themselves, once: networks kept by a hash of what they were trained on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from ccigkit.data.base import Split
from ccigkit.files import cache_folder, writing


def train_once(network: nn.Module, kind: str, fingerprint: str, train: Callable[[], None]) -> None:
    """Fill a network from the cache; where it is not there, or damaged, train it and keep it."""
    path = cache_folder() / kind / f"{fingerprint}.safetensors"
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError):
        train()
        with writing(path) as temporary:
            temporary.write_bytes(save({key: tensor.cpu() for key, tensor in network.state_dict().items()}))


def fingerprint(split: Split, *how: Any) -> str:
    """A hash of the images and attributes that something is trained on, and of how."""
    sample = split.images[:: max(1, len(split) // 64)]
    digest = hashlib.sha256(sample.contiguous().numpy().tobytes())
    digest.update(split.values.tobytes())
    digest.update(json.dumps([*how]).encode())
    return digest.hexdigest()[:16]
