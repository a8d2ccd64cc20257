"""A file that was changed by a byte is not taken for the one that was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ccigkit.errors import CheckpointError
from ccigkit.metrics.readers.cached import train_once
from ccigkit.model import save_model
from ccigkit.model.files import read_model
from ccigkit.testing import toy_model

KEYS = ("format", "attributes", "edges", "confounded", "image_shape", "latent_size", "frame", "components")


def test_a_checksum_covers_the_whole_model(tmp_path: Path) -> None:
    model, _ = toy_model()
    save_model(model, tmp_path, {"scm": {"name": model.scm.name}, "encoder": {"name": "dcgan", "width": 8}})
    path = tmp_path / "model.safetensors"
    good, whole = load_whole(path), path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    digits = [i for i in range(8, header) if whole[i : i + 1].isdigit()]
    spots = [*range(0, header, 7), *digits[::3], *range(header, len(whole), len(whole) // 50)]
    silent = []
    for at in spots:
        spoilt = bytearray(whole)
        spoilt[at] ^= 1
        path.write_bytes(spoilt)
        try:
            if load_whole(path) != good:
                silent.append(at)
        except CheckpointError:
            continue
    assert not silent
    assert len(spots) > 300


def load_whole(path: Path) -> tuple[str, dict[str, bytes]]:
    said, tensors = read_model(path)  # the checksum under a changed name says nothing of the model, and is left out
    return json.dumps({key: said.get(key) for key in KEYS}), {
        name: tensor.numpy().tobytes() for name, tensor in tensors.items()
    }


def test_a_cached_network_is_vouched_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path, trained = tmp_path / "ccigkit" / "nets" / "abc.safetensors", []

    def fill(network: nn.Linear) -> None:
        train_once(network, "nets", "abc", lambda: (trained.append(1), nn.init.constant_(network.weight, 2.0)))

    fill(nn.Linear(2, 2))
    fill(again := nn.Linear(2, 2))
    assert len(trained) == 1
    assert (again.weight == 2).all()
    save_file({name: torch.zeros_like(tensor) for name, tensor in load_file(path).items()}, path)
    fill(zero := nn.Linear(2, 2))
    assert len(trained) == 2
    assert (zero.weight == 2).all()
