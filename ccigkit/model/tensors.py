"""Tensors in a file with a description beside them, both under one checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ccigkit.errors import CheckpointError
from ccigkit.files import writing

ABOUT = "ccigkit"  # what the description is called in the header of the file; of two names the order would be random
CHECKSUM = "sha256"  # what the checksum is called in the description


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and a description, as JSON knows it, as safetensors; whole or not at all.

    Raises:
        WriteError: where the disk is full or the place cannot be written.
    """
    from safetensors.torch import save

    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({**about, CHECKSUM: _checksum(held, about)})
    with writing(path) as temporary:
        temporary.write_bytes(save(held, metadata={ABOUT: text}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], bool]:
    """The tensors in a file, their description, and whether a checksum vouches for both: older files have none.

    Raises:
        CheckpointError: where the file is damaged, or is another.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            about = dict(json.loads(file.metadata()[ABOUT]))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a dict
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or not a ccigkit model: {error}") from None
    said = about.pop(CHECKSUM, None)
    if said is not None and said != _checksum(tensors, about):
        raise CheckpointError(f"{path} is damaged: its checksum is wrong; train again, or restore a copy")
    return tensors, about, said is not None


def _checksum(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> str:
    """That of the description, and of the names, types, shapes and bytes of the tensors."""
    kinds = [[name, str(tensor.dtype), list(tensor.shape)] for name, tensor in sorted(tensors.items())]
    return digest(tensors, json.dumps([about, kinds]))


def digest(tensors: Mapping[str, Tensor], header: str = "") -> str:
    """The SHA-256 of a text and of tensors' bytes, in the order of their names."""
    total = hashlib.sha256(header.encode())
    for _, tensor in sorted(tensors.items()):
        total.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()
