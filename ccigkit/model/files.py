"""A model in a file: saved without code, loaded without running any."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ccigkit.causal.attributes import Attributes
from ccigkit.causal.graph import CausalGraph
from ccigkit.causal.structure import Structure
from ccigkit.errors import CheckpointError
from ccigkit.files import write_json, writing
from ccigkit.model.model import CausalImageModel
from ccigkit.pixels import ImageShape

FORMAT = 1


def save_model(model: CausalImageModel, folder: Path, components: Mapping[str, Mapping[str, Any]]) -> None:
    """Write model.safetensors and model.json: everything `load_model` needs, and no code.

    `components` names the component of each kind with its options: {"scm": {"name": "linear", ...}, ...}.
    """
    from safetensors.torch import save

    graph = model.graph
    tensors = {
        f"{part}.{key}": tensor.detach().cpu().contiguous()
        for part in ("scm", "encoder", "generator")
        for key, tensor in getattr(model, part).state_dict().items()
    }
    content = {
        "format": FORMAT,
        "checksum": checksum(tensors),
        "attributes": model.attributes.to_json(),
        "image_shape": list(model.image_shape),
        "latent_size": model.latent_size,
        "frame": model.frame,
        "components": components,
        "edges": [[a, b, float(graph.strengths[graph.index(a), graph.index(b)])] for a, b in graph.edges],
    }
    # The description travels inside the tensors' file, so that the two can never be of different moments.
    with writing(folder / "model.safetensors") as temporary:
        temporary.write_bytes(save(tensors, metadata={"ccigkit": json.dumps(content)}))
    write_json(folder / "model.json", content)


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of tensors' bytes, in the order of their names."""
    total = hashlib.sha256()
    for _, tensor in sorted(tensors.items()):
        total.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def load_model(folder: str | Path, device: str | torch.device = "cpu") -> CausalImageModel:
    """Read what `save_model` wrote; the plugins that its components came from must be installed.

    Raises:
        CheckpointError: where the folder holds no model, or a damaged one.
        ConfigError: where a component is not installed.
    """
    from safetensors import SafetensorError, safe_open

    from ccigkit.component.registry import build

    folder = Path(folder)
    path = folder / "model.safetensors"
    if not path.is_file():
        raise CheckpointError(f"{folder} holds no trained model (no model.safetensors); train one with ccigkit train")
    try:
        with safe_open(path, framework="pt") as file:
            content = json.loads(file.metadata()["ccigkit"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a dict
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or not a ccigkit model: {error}") from None
    if content.get("format") != FORMAT:
        raise CheckpointError(f"{path} has format {content.get('format')}, this ccigkit reads format {FORMAT}")
    found = checksum(tensors)
    if content.get("checksum", found) != found:
        raise CheckpointError(f"{path} is damaged: its checksum is wrong; train again, or restore a copy")
    attributes = Attributes.from_json(content["attributes"])
    graph = CausalGraph.from_edges(attributes.names, [f"{a} -> {b} : {w!r}" for a, b, w in content["edges"]])
    shape: ImageShape = tuple(content["image_shape"])
    latent_size, components = content["latent_size"], content["components"]
    wiring = {"size": len(attributes), "image_shape": shape, "latent_size": latent_size}
    parts = {part: build(part, components[part], wiring) for part in ("scm", "encoder", "generator")}
    for part, module in parts.items():
        own = {key.removeprefix(f"{part}."): t for key, t in tensors.items() if key.startswith(f"{part}.")}
        try:
            module.load_state_dict(own)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise CheckpointError(f"{path} does not fit the {part} {components[part]['name']!r}: {reason}") from None
    model = CausalImageModel(
        attributes, Structure(graph), **parts, image_shape=shape, latent_size=latent_size, frame=content["frame"]
    )
    return model.eval().requires_grad_(False).to(device)
