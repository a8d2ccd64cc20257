"""What metrics train for themselves, once: networks kept by a hash of what they were trained on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from torch import nn

from ccigkit.data.base import Split
from ccigkit.errors import CheckpointError
from ccigkit.files import cache_folder
from ccigkit.model.tensors import read_tensors, write_tensors


def train_once(network: nn.Module, kind: str, fingerprint: str, train: Callable[[], None]) -> None:
    """Fill a network from the cache; where it is not there, damaged, or not vouched for, train it and keep it."""
    path = cache_folder() / kind / f"{fingerprint}.safetensors"
    try:
        tensors, about, vouched = read_tensors(path)
        if not vouched or about != {"fingerprint": fingerprint}:
            raise CheckpointError(f"nothing says that {path} is what was written")
        network.load_state_dict(tensors)
    except (CheckpointError, RuntimeError):
        train()
        write_tensors(path, network.state_dict(), {"fingerprint": fingerprint})


def fingerprint(split: Split, *how: Any) -> str:
    """A hash of the images and attributes that something is trained on, and of how."""
    sample = split.images[:: max(1, len(split) // 64)]
    digest = hashlib.sha256(sample.contiguous().numpy().tobytes())
    digest.update(split.values.tobytes())
    digest.update(json.dumps([*how]).encode())
    return digest.hexdigest()[:16]
