"""The kinds for images: the image mechanism, and the encoder, generator and discriminator that one can be made of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from ccigkit.component.component import Component
from ccigkit.pixels import ImageShape


class ImageMechanism(Component, nn.Module):
    """How a picture follows from its attributes z, and from its style: all else that is in it.

    Attributes come as the networks see them, y [b, m] (`ccigkit.causal.inputs`): z [b, d] where none is an unordered
    category. The mechanism x = g(y, style) of the image in the structural causal model, and its abduction. Each
    mechanism decides what a style is: a vector, a pyramid of latents, the noise that a diffusion ends in.

    Args:
        image_shape: channels, height and width of the images.
        inputs: how many columns m the attributes have: one each, an unordered category one for each choice.
        latent_size: the size k of inputs and style together, for a mechanism whose style is a vector.
    """

    kind = "image"
    default = "bigan"
    flag = "How a picture follows from its attributes."
    saved = averaged = True
    wiring: ClassVar[tuple[str, ...]] = ("image_shape", "inputs", "latent_size")

    def __init__(self, image_shape: ImageShape, inputs: int, latent_size: int) -> None:
        super().__init__()
        self.image_shape, self.inputs, self.latent_size = image_shape, inputs, latent_size

    @abstractmethod
    def abduct(self, image: Tensor, y: Tensor) -> Any:
        """The style of images [b, c, h, w] in [-1, 1] that have attributes y [b, m]."""

    @abstractmethod
    def render(self, y: Tensor, style: Any) -> Tensor:
        """Images [b, c, h, w] in [-1, 1] of attributes y [b, m] in a style."""

    @abstractmethod
    def sample(self, n: int) -> Any:
        """The style of n new images."""

    def parts(self) -> dict[str, nn.Module]:
        """The components that it is made of, by kind; where it has none, itself alone."""
        return {part.kind: part for part in self.children() if isinstance(part, Component)} or {self.kind: self}

    def with_parts(self, parts: Mapping[str, nn.Module]) -> ImageMechanism:
        """A copy made of other parts of the same classes, averaged ones for instance; missing ones are left out."""
        whole = parts.get(self.kind, None)
        if isinstance(whole, ImageMechanism):
            return whole
        other = copy(self)
        other._modules = {name: parts.get(name) for name in self._modules}
        return other

    @classmethod
    def contract(cls, build: Callable[..., Any], lab: Any) -> None:
        mechanism: ImageMechanism = build(*(lab.parts()[name] for name in cls.wiring))
        image, y = torch.rand(2, *lab.SHAPE) * 2 - 1, torch.randn(2, len(lab.CHAIN.names))
        with torch.no_grad():
            style = mechanism.abduct(image, y)
            again = mechanism.render(y, style)
            new = mechanism.render(y, mechanism.sample(2))
            assert torch.equal(mechanism.render(y, style), again), "the same attributes and style give the same image"
            for drawn in (again, new):
                assert drawn.shape == image.shape, "render gives images [b, c, h, w]"
                assert float(drawn.abs().max()) <= 1, "its pixels are in [-1, 1]"
            parts = mechanism.parts()
            assert parts, "parts() are the components it is made of"
            same = mechanism.with_parts(parts)
            assert torch.equal(same.render(y, style), again), "of the same parts, it is the same mechanism"
            if isinstance(mechanism, ReadsAttributes):
                read, _ = mechanism.read(image)
                assert read.shape == y.shape, "read gives attributes [b, m]"


@runtime_checkable
class ReadsAttributes(Protocol):
    """An image mechanism that reads the attributes off an image."""

    def read(self, image: Tensor) -> tuple[Tensor, Any]:
        """The attributes y [b, m], of categories the logits, and the style of images [b, c, h, w]."""


class Encoder(Component, nn.Module):
    """Image to latent: the first m are the attributes as networks see them, y, the other k - m the style."""

    kind = "encoder"
    default = "resnet"
    flag = "The encoder alone."
    backbone = saved = averaged = True
    wiring = ("image_shape", "latent_size")

    @abstractmethod
    def forward(self, image: Tensor) -> Normal:
        """Images [b, c, h, w] in [-1, 1] to a distribution over latents [b, k]."""

    @classmethod
    def contract(cls, build: Callable[..., Any], lab: Any) -> None:
        encoder = build(lab.SHAPE, lab.LATENT)
        latent = encoder(torch.rand(2, *lab.SHAPE) * 2 - 1)
        assert isinstance(latent, torch.distributions.Normal), "an encoder returns a Normal"
        assert latent.mean.shape == (2, lab.LATENT), "its mean is [b, k]"
        latent.rsample().square().sum().backward()
        has_gradients(encoder)

    if TYPE_CHECKING:
        __call__ = forward


class Generator(Component, nn.Module):
    """Latent to image. Deterministic, so that factual and counterfactual differ only by their latents."""

    kind = "generator"
    default = "resnet"
    flag = "The generator alone."
    backbone = saved = averaged = True
    wiring = ("image_shape", "latent_size")

    @abstractmethod
    def forward(self, latent: Tensor) -> Tensor:
        """Latents [b, k] to images [b, c, h, w] in [-1, 1]."""

    @classmethod
    def contract(cls, build: Callable[..., Any], lab: Any) -> None:
        generator = build(lab.SHAPE, lab.LATENT)
        latent = torch.randn(2, lab.LATENT)
        image = generator(latent)
        assert image.shape == (2, *lab.SHAPE), "a generator returns [b, c, h, w]"
        assert float(image.detach().abs().max()) <= 1, "its pixels are in [-1, 1]"
        assert torch.equal(generator(latent), image), "it is deterministic"
        image.square().sum().backward()
        has_gradients(generator)

    if TYPE_CHECKING:
        __call__ = forward


class Discriminator(Component, nn.Module):
    """Logits that are positive for encoder pairs (x, E(x)), negative for generator pairs (G(y), y)."""

    kind = "discriminator"
    default = "resnet"
    flag = "The discriminator alone."
    backbone = True
    wiring = ("image_shape", "latent_size")

    @abstractmethod
    def forward(self, image: Tensor, latent: Tensor | None = None) -> Tensor:
        """Logits [b] for pairs of images [b, c, h, w] and latents [b, k]; without latents, for the images alone."""

    @classmethod
    def contract(cls, build: Callable[..., Any], lab: Any) -> None:
        discriminator = build(lab.SHAPE, lab.LATENT)
        image, latent = torch.rand(2, *lab.SHAPE) * 2 - 1, torch.randn(2, lab.LATENT, requires_grad=True)
        logits = discriminator(image, latent)
        assert logits.shape == (2,), "a discriminator returns logits [b]"
        assert discriminator(image).shape == (2,), "it can judge images alone"
        logits.sum().backward()
        assert latent.grad is not None, "it looks at the latent"
        assert (latent.grad != 0).any(), "it looks at the latent"
        has_gradients(discriminator)

    if TYPE_CHECKING:
        __call__ = forward


def has_gradients(module: nn.Module) -> None:
    """Check that every parameter of a module that has been through `backward` took part in it."""
    silent = [name for name, parameter in module.named_parameters() if parameter.grad is None]
    assert not silent, f"every parameter takes part; these do not: {', '.join(silent)}"
