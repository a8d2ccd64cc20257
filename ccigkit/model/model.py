"""The causal image model: sample, encode, counterfactual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ccigkit.causal.attributes import Attributes
from ccigkit.causal.graph import CausalGraph
from ccigkit.causal.scm.base import SCM, Intervention
from ccigkit.causal.structure import Structure
from ccigkit.errors import DataError
from ccigkit.image.base import Encoder, Generator
from ccigkit.model.detail import keep_detail
from ccigkit.pixels import ImageShape
from ccigkit.structure.joint import JointStructure


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
