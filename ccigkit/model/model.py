"""The causal image model: sample, encode, counterfactual."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ccigkit.causal.attributes import Attributes
from ccigkit.causal.graph import CausalGraph
from ccigkit.causal.interventions import Do
from ccigkit.causal.model import CausalModel, seeded
from ccigkit.causal.scm.base import SCM
from ccigkit.causal.structure import Structure
from ccigkit.errors import DataError
from ccigkit.image.base import Encoder, Generator, ImageMechanism
from ccigkit.model.detail import keep_detail
from ccigkit.model.placement import Placement
from ccigkit.pixels import ImageShape


@dataclass(frozen=True)
class Codes:
    """What images [b, c, h, w] are made of: noise u [b, d], attributes z [b, d], style, and the rest.

    The rest, image - drawn, is their detail: what the mechanism does not draw. What a style
    is depends on the image mechanism.
    """

    u: Tensor
    z: Tensor
    style: Any
    image: Tensor
    drawn: Tensor


class CausalImageModel(nn.Module):
    """A causal model of attributes and a mechanism of the image: samples, reconstructions, counterfactuals under do().

    Images are float [b, c, h, w] or [c, h, w] in [-1, 1] at the model's own size; interventions are
    {attribute: value}, the value as the table writes it, one for all images or a list of one for each. A tensor [b]
    holds codes, as a `Table` does: where a table writes "flat" or 3, the position of that among the categories. A value
    may be a policy, too: `ccigkit.soft(0.3)`, `ccigkit.normal(5, 1)`, `ccigkit.shift(2)`; what it draws is drawn for
    each image, and the same seed gives the same.

    Args:
        causal: attributes, graph and mechanisms.
        image: how the picture follows from them, and back.
        placement: what turns an image into noise and attributes.
        frame: the share of a picture's shorter side that the training images showed.

    Examples:
        >>> from ccigkit.testing import toy_model
        >>> model, _ = toy_model()
        >>> image = model.sample(1, seed=0)
        >>> model.counterfactual(image, do={"b": 1.0}).shape
        torch.Size([1, 3, 32, 32])
        >>> torch.equal(model.counterfactual(image, do={}), image)
        True
    """

    def __init__(self, causal: CausalModel, image: ImageMechanism, placement: Placement, *, frame: float = 1.0) -> None:
        super().__init__()
        self.causal, self.image, self.placement, self.frame = causal, image, placement, frame
        self.to(memory_format=torch.channels_last)  # one layout, so that a model loaded rounds as the one saved

    @property
    def attributes(self) -> Attributes:
        """The attributes that can be intervened on."""
        return self.causal.attributes

    @property
    def structure(self) -> Structure:
        """The graph as the SCM works with it."""
        return self.causal.structure

    @property
    def scm(self) -> SCM:
        """The mechanisms of the attributes."""
        return self.causal.scm

    @property
    def graph(self) -> CausalGraph:
        """The causal graph the model works with."""
        return self.causal.graph

    @property
    def encoder(self) -> Encoder:
        """The encoder of an image mechanism that has one, as BiGAN has."""
        encoder: Encoder = self.image.parts()["encoder"]  # type: ignore[assignment]
        return encoder

    @property
    def generator(self) -> Generator:
        """The generator of an image mechanism that has one, as BiGAN has."""
        generator: Generator = self.image.parts()["generator"]  # type: ignore[assignment]
        return generator

    @property
    def image_shape(self) -> ImageShape:
        """Channels, height and width of the images."""
        shape: ImageShape = self.image.image_shape
        return shape

    def with_causal(self, causal: CausalModel) -> CausalImageModel:
        """The same model under another causal model of the same attributes; its networks are shared, not copied."""
        other = CausalImageModel(causal, self.image, self.placement, frame=self.frame)
        return other.train(self.training)

    def parts(self) -> dict[str, nn.Module]:
        """The components that learn, by kind."""
        return {"scm": self.scm, **self.image.parts()}

    def render(self, z: Tensor, style: Any) -> Tensor:
        """Images [b, c, h, w] of attributes z [b, d] in a style."""
        return self.image.render(self.causal.inputs.of(z), style)

    @torch.no_grad()
    def abduct(self, image: Tensor, attributes: Tensor | None = None) -> Codes:
        """The codes of images [b, c, h, w] in [-1, 1].

        Args:
            image: the images.
            attributes: their attributes [b, d] in own units, for a placement that needs them.

        Raises:
            DataError: where the images are of another size than the model's.
        """
        image = self._batch(image)
        u, z, style = self.placement.abduct(self.causal, self.image, image, attributes)
        return Codes(u, z, style, image, self.render(z, style))

    @torch.no_grad()
    def predict(
        self, codes: Codes, do: Do, *, detail: bool = True, hold: Collection[str] = (), seed: int = 0
    ) -> Tensor:
        """Images [b, c, h, w] of the same codes had `do` been so: act, predict, draw.

        What the mechanism cannot draw of an image is noise of the image's own (Pawlowski et al., 2020), and is kept
        wherever the drawing stays as it was.

        Args:
            codes: what `abduct` gave.
            do: what is set.
            detail: whether to keep the image's own detail; otherwise the answer is the drawing alone.
            hold: attributes that stay as they are, whatever their causes do.
            seed: seed of what `do` draws.

        Raises:
            ConfigError: for an unknown attribute or an impossible value.

        Examples:
            >>> from ccigkit.testing import toy_model
            >>> model, _ = toy_model()
            >>> codes = model.imagine(2, seed=0)
            >>> model.predict(codes, do={"b": 1.0}, hold=["c"]).shape
            torch.Size([2, 3, 32, 32])
        """
        if not do:
            return codes.image if detail else codes.drawn
        changed = self.render(self._act(codes, do, hold, seed), codes.style)
        return keep_detail(codes.image, codes.drawn, changed) if detail else changed

    def values(self, codes: Codes, do: Do | None = None, *, hold: Collection[str] = (), seed: int = 0) -> Tensor:
        """The attributes [b, d] of codes in own units, had `do` been so; without a `do`, as the model reads them.

        Args:
            codes: what `abduct` or `imagine` gave.
            do: what is set.
            hold: attributes that stay as they are, whatever their causes do.
            seed: seed of what `do` draws.

        Raises:
            ConfigError: for an unknown attribute or an impossible value.
        """
        return self.causal.values(self._act(codes, do or {}, hold, seed))

    def counterfactual(self, image: Tensor, do: Do, *, detail: bool = True, seed: int = 0) -> Tensor:
        """The same images [b, c, h, w] (or one, [c, h, w]) had `do` been so; with an empty `do`, the same images.

        Abduct, act, predict (Pearl, 2009); `detail` as in `predict`.

        Args:
            image: the images; or one of them.
            do: what is set, {attribute: value}.
            detail: whether to keep the image's own detail; otherwise the answer is the drawing alone.
            seed: seed of what `do` draws.

        Raises:
            ConfigError: for an unknown attribute or an impossible value.
            DataError: where the images are of another size than the model's.
        """
        changed = self.predict(self.abduct(image), do, detail=detail, seed=seed)
        return changed if image.ndim == 4 else changed[0]

    def reconstruct(self, image: Tensor) -> Tensor:
        """The images as the model sees them: encoded and generated again."""
        return self.counterfactual(image, {}, detail=False)

    def sample(self, n: int, do: Do | None = None, *, seed: int | None = None) -> Tensor:
        """N new images [n, c, h, w], under an intervention if one is given; the same seed gives the same noise.

        Args:
            n: how many images.
            do: what is set, {attribute: value}.
            seed: seed of the noise; None for new noise at every call.

        Raises:
            ConfigError: for an unknown attribute or an impossible value.
        """
        return self.imagine(n, do, seed=seed).drawn

    @torch.no_grad()
    def imagine(self, n: int, do: Do | None = None, *, seed: int | None = None) -> Codes:
        """The codes of n new images, those that `sample` draws.

        Args:
            n: how many images.
            do: what is set, {attribute: value}.
            seed: seed of the noise; None for new noise at every call.

        Raises:
            ConfigError: for an unknown attribute or an impossible value.
        """
        with seeded(seed, self.scm.quantiles.device):
            (z, _), style = self.causal.imagine(n, do or {}, seed=seed), self.image.sample(n)
        drawn = self.render(z, style)
        return Codes(self.causal.noise(z), z, style, drawn, drawn)

    def _act(self, codes: Codes, do: Do, hold: Collection[str], seed: int) -> Tensor:
        return self.causal.act(codes.z, self.causal.intervention(do, codes.z, hold, seed=seed))

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
