"""The causal image model: sample, encode, counterfactual, save, load."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ccigkit.attributes import Attributes
from ccigkit.errors import CheckpointError, DataError
from ccigkit.files import write_json, writing
from ccigkit.graph import CausalGraph
from ccigkit.interfaces import SCM, Encoder, Generator, ImageShape, Intervention, JointStructure, Structure

FORMAT = 1
CHANGED = 0.25  # a pixel's change, of 2 from black to white, that takes most of its old detail away


@dataclass(frozen=True)
class Codes:
    """What images [b, c, h, w] are made of: noise u [b, d], endogenous z [b, d], residual [b, k - d], and the rest.

    The rest, their detail, is what their generator does not draw of them: image - G(z, residual).
    """

    u: Tensor
    z: Tensor
    residual: Tensor
    image: Tensor


class CausalImageModel(nn.Module):
    """Encoder, structure, SCM and generator as one: it answers what an image would have been under do().

    Images are float [b, c, h, w] or [c, h, w] in [-1, 1] at the model's own size; interventions are
    {attribute: value} in the attribute's own units, one value for all images or one [b] for each.
    """

    def __init__(
        self,
        attributes: Attributes,
        structure: Structure | JointStructure,
        scm: SCM,
        encoder: Encoder,
        generator: Generator,
        *,
        image_shape: ImageShape,
        latent_size: int,
        frame: float = 1.0,
    ) -> None:
        super().__init__()
        self.frame = frame
        self.attributes = attributes
        self.structure = structure
        self.scm = scm
        self.encoder = encoder
        self.generator = generator
        self.image_shape = image_shape
        self.latent_size = latent_size
        self.to(memory_format=torch.channels_last)  # one layout, so that a model loaded rounds as the one saved

    @property
    def graph(self) -> CausalGraph:
        """The causal graph the model works with."""
        return self.structure.graph()

    def prior(self, n: int, intervention: Intervention | None = None) -> Tensor:
        """Latents [n, k]: z from the SCM, the residual standard normal (DEAR, Shen et al. 2022, section 4.1)."""
        u = self.scm.sample_noise(n)
        z = self.scm(u, self.structure.adjacency(), intervention)
        return torch.cat([z, torch.randn(n, self.latent_size - self.scm.size, device=u.device)], dim=1)

    def split(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Latents [b, k] as z [b, d] and residual [b, k - d]."""
        return latent[:, : self.scm.size], latent[:, self.scm.size :]

    def generate(self, z: Tensor, residual: Tensor) -> Tensor:
        """Images [b, c, h, w] of z [b, d] and residual [b, k - d]."""
        return self.generator(torch.cat([z, residual], dim=1))

    @torch.no_grad()
    def abduct(self, image: Tensor) -> Codes:
        """The codes of images [b, c, h, w] in [-1, 1].

        Raises:
            DataError: where the images are of another size than the model's.
        """
        image = self._batch(image)
        z, residual = self.split(self.encoder(image).mean)
        return Codes(self.scm.abduct(z, self.structure.adjacency()), z, residual, image)

    @torch.no_grad()
    def predict(self, codes: Codes, do: Mapping[str, float | Tensor], *, detail: bool = True) -> Tensor:
        """Images [b, c, h, w] of the same codes had `do` been so: act, predict, draw.

        What the generator cannot draw of an image is noise of the image's own (Pawlowski et al., 2020), and is kept
        wherever the drawing stays as it was. Without `detail` the answer is the drawing alone.

        Raises:
            ConfigError: for an unknown attribute or an impossible value.
        """
        intervention = Intervention.of(self.attributes.interventions(do), codes.z)
        z = self.scm.counterfactual(codes.z, self.structure.adjacency(), intervention)
        changed = self.generate(z, codes.residual)
        return keep_detail(codes.image, self.generate(codes.z, codes.residual), changed) if detail else changed

    def counterfactual(self, image: Tensor, do: Mapping[str, float | Tensor], *, detail: bool = True) -> Tensor:
        """The same images [b, c, h, w] (or one, [c, h, w]) had `do` been so; with an empty `do`, the same images.

        Abduct, act, predict (Pearl, 2009); `detail` as in `predict`.

        Raises:
            ConfigError: for an unknown attribute or an impossible value.
            DataError: where the images are of another size than the model's.
        """
        changed = self.predict(self.abduct(image), do, detail=detail)
        return changed if image.ndim == 4 else changed[0]

    def reconstruct(self, image: Tensor) -> Tensor:
        """The images as the model sees them: encoded and generated again."""
        return self.counterfactual(image, {}, detail=False)

    @torch.no_grad()
    def sample(self, n: int, do: Mapping[str, float | Tensor] | None = None, *, seed: int | None = None) -> Tensor:
        """N new images [n, c, h, w], under an intervention if one is given; the same seed gives the same people.

        Raises:
            ConfigError: for an unknown attribute or an impossible value.
        """
        device = next(self.parameters()).device
        held = self.attributes.interventions(do or {})
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            if seed is not None:
                torch.manual_seed(seed)
            intervention = Intervention.of(held, torch.zeros(n, self.scm.size, device=device))
            return self.generator(self.prior(n, intervention if held else None))

    def _batch(self, image: Tensor) -> Tensor:
        batch = image if image.ndim == 4 else image[None]
        if tuple(batch.shape[1:]) != self.image_shape:
            raise DataError(
                f"an image of shape {list(image.shape)} does not fit this model, which wants {list(self.image_shape)}; "
                "resize it, or read it with ccigkit.read_image"
            )
        if not batch.is_floating_point():
            raise DataError(f"images must be floats in [-1, 1], got {batch.dtype}")
        if not torch.isfinite(batch).all():
            raise DataError("the image has pixels that are not finite numbers (NaN or infinity)")
        return batch


def keep_detail(image: Tensor, drawn: Tensor, changed: Tensor) -> Tensor:
    """The drawing after a change [b, c, h, w], with the detail of the image that the drawing before it lacked.

    x' = G(z') + w (x - G(z)), with w as in `unchanged`: where a drawing has changed, the old one's detail is gone with
    it. Nothing changed gives x itself, bit for bit.
    """
    weight = unchanged(drawn, changed)
    return (torch.lerp(changed, image, weight) + weight * (changed - drawn)).clamp(-1, 1)


def unchanged(before: Tensor, after: Tensor, scale: float = CHANGED) -> Tensor:
    """How far each pixel of two images [b, c, h, w] is the same: exp(-(|after - before| / scale)^2), [b, 1, h, w]."""
    return torch.exp(-((after - before).abs().amax(dim=1, keepdim=True) / scale).square())


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

    from ccigkit.components import build

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
