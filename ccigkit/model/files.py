"""A model in a file: saved without code, loaded without running any."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ccigkit.causal.attributes import Attributes
from ccigkit.causal.graph import CausalGraph
from ccigkit.causal.model import CausalModel
from ccigkit.causal.structure import Structure
from ccigkit.component.plugin_file import HASHED, PluginFile
from ccigkit.component.plugins import BUILTIN
from ccigkit.component.registry import Assembly, Choice, need_plugin, registry
from ccigkit.errors import CheckpointError, ConfigError
from ccigkit.files import write_json
from ccigkit.model.model import CausalImageModel
from ccigkit.model.place import located
from ccigkit.model.tensors import digest, read_tensors, write_tensors

FORMAT = 1
Components = Mapping[str, Mapping[str, Any]]  # the component of each kind with its options, by kind


def save_model(model: CausalModel | CausalImageModel, folder: Path, components: Components) -> None:
    """Write model.safetensors and model.json: everything `load_model` needs, and no code.

    Args:
        model: a causal model, of images or of attributes alone.
        folder: where to.
        components: the component of each kind with its options, {"scm": {"name": "linear", ...}, ...}; those that the
            model does not have are left out.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from ccigkit.testing import toy_model
        >>> model, _ = toy_model()
        >>> with TemporaryDirectory() as folder:
        ...     save_model(model.causal, Path(folder), {"scm": {"name": model.scm.name}})
        ...     load(folder).graph == model.graph
        True
    """
    parts = _saved(model)
    tensors = {f"{kind}.{key}": tensor for kind, part in parts.items() for key, tensor in part.state_dict().items()}
    graph = model.graph
    content: dict[str, Any] = {
        "format": FORMAT,
        "attributes": model.attributes.to_json(),
        "edges": [[a, b, float(graph.strengths[graph.index(a), graph.index(b)])] for a, b in graph.edges],
    }
    if graph.pairs:
        content["confounded"] = graph.pairs
    kinds = set(parts)
    if isinstance(model, CausalImageModel):
        image = model.image
        content |= {"image_shape": list(image.image_shape), "latent_size": image.latent_size, "frame": model.frame}
        kinds |= {image.kind, model.placement.kind}
    content["components"] = {kind: dict(table) for kind, table in components.items() if kind in kinds}
    if plugins := _plugins_of(content["components"]):
        content["plugins"] = plugins
    # The description travels inside the tensors' file, so that the two can never be of different moments.
    write_tensors(folder / "model.safetensors", tensors, content)
    write_json(folder / "model.json", content)


def _saved(model: CausalModel | CausalImageModel) -> dict[str, nn.Module]:
    """The parts of a model whose state is kept, by kind."""
    parts = model.parts() if isinstance(model, CausalImageModel) else {model.scm.kind: model.scm}
    return {kind: part for kind, part in parts.items() if registry().kinds[kind].saved}


def _plugins_of(components: Components) -> dict[str, dict[str, str]]:
    """By kind, the plugins that brought what ccigkit itself does not, with their versions."""
    origins = {kind: registry().origins[kind, Choice.of(kind, table).name] for kind, table in components.items()}
    return {
        kind: {"plugin": origin.name, "version": origin.version}
        for kind, origin in origins.items()
        if origin.name != BUILTIN
    }


def _need_plugins(content: Mapping[str, Any], folder: Path) -> None:
    """Have the plugins that a model's components came from, in the versions that it was made with or with a word.

    Raises:
        ConfigError: where one is not there, naming it.
    """
    for kind, origin in content.get("plugins", {}).items():
        name, version = str(origin["plugin"]), str(origin["version"])
        component = content["components"][kind]["name"]
        if version.startswith(HASHED):
            need_plugin(PluginFile(Path(Path(name).name), version.removeprefix(HASHED)), str(folder))
        elif (kind, component) not in registry().components:
            reason = registry().broken.get(name, "it is not installed")
            raise ConfigError(
                f"{folder} needs the {kind} {component!r} of the plugin {name} {version}: {reason}; "
                "install it as you did where the model was made"
            )
        elif (now := registry().origins[kind, component]).version != version:
            warnings.warn(
                f"{folder} was made with the plugin {name} {version}, and {now.name} {now.version} is here: "
                "what it gives may differ",
                stacklevel=3,
            )


def load_model(folder: str | Path, device: str | torch.device = "cpu") -> CausalImageModel:
    """Read the image model that `save_model` wrote; the plugins that its components came from must be installed.

    Args:
        folder: a run, or where `save_model` wrote.
        device: where the model is to be.

    Raises:
        CheckpointError: where the folder holds no model of images, or a damaged one.
        ConfigError: where a component's plugin is not there, naming it with its version.
    """
    model = load(folder, device)
    if not isinstance(model, CausalImageModel):
        raise CheckpointError(f"{folder} holds a causal model of a table; one of images comes from ccigkit train")
    return model


def load(folder: str | Path, device: str | torch.device = "cpu") -> CausalModel | CausalImageModel:
    """Read what `save_model` wrote, a model of images or of a table.

    Args:
        folder: a run, what `ccigkit graph --fit` wrote, where `save_model` did, the name of a model that is installed
            ("demo", of ccigkit-demo), or "hub:USER/NAME" (see `ccigkit.hub`).
        device: where the model is to be.

    Raises:
        CheckpointError: where the folder holds no model, or a damaged one.
        ConfigError: where a component's plugin is not there, naming it with its version.
    """
    folder = located(folder)
    path = folder / "model.safetensors"
    content, tensors = read_model(path)
    _need_plugins(content, folder)
    described = content["attributes"]
    attributes = Attributes.from_json(_on_a_line(described) if "image_shape" in content else described)
    edges = [(cause, effect, w) for cause, effect, w in content["edges"]]
    graph = CausalGraph.from_weights(attributes.names, edges, content.get("confounded", ()))
    choices = {kind: Choice.of(kind, table) for kind, table in content["components"].items()}
    assembly = Assembly(choices, {"size": len(attributes)})
    causal = CausalModel(attributes, Structure(graph), assembly["scm"])
    model: CausalModel | CausalImageModel = causal
    if "image_shape" in content:
        for kind in ("image", "placement"):  # which files did not name before there was a choice
            choices.setdefault(kind, Choice.of(kind, {"name": registry().kinds[kind].default}))
        assembly |= {
            "image_shape": tuple(content["image_shape"]),
            "inputs": causal.inputs.size,
            "latent_size": content["latent_size"],
        }
        model = CausalImageModel(causal, assembly["image"], assembly["placement"], frame=content["frame"])
    for kind, part in _saved(model).items():
        own = {key.removeprefix(f"{kind}."): t for key, t in tensors.items() if key.startswith(f"{kind}.")}
        try:
            part.load_state_dict(own)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise CheckpointError(f"{path} does not fit the {kind} {choices[kind].name!r}: {reason}") from None
    return model.eval().requires_grad_(False).to(device)


def _on_a_line(attributes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Attributes as a file of an image model has them; before categories were choices, networks saw them in order."""
    return [{"ordered": a["kind"] == "categorical", **a} for a in attributes]


def read_model(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The description in a model's file, and its tensors by name.

    Raises:
        CheckpointError: where it is missing, damaged, or of a format to come.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path.parent} holds no trained model (no model.safetensors); train one with ccigkit train"
        )
    tensors, content, vouched = read_tensors(path)
    if content.get("format") != FORMAT:
        raise CheckpointError(f"{path} has format {content.get('format')}, this ccigkit reads format {FORMAT}")
    if not vouched and content.get("checksum", found := digest(tensors)) != found:  # of older files, the tensors alone
        raise CheckpointError(f"{path} is damaged: its checksum is wrong; train again, or restore a copy")
    return content, tensors
