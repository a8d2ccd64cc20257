"""Where the causal model sits among the networks: what turns an image into noise and attributes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ccigkit.causal.model import CausalModel
from ccigkit.component.component import Component
from ccigkit.errors import ConfigError
from ccigkit.image.base import ImageMechanism, ReadsAttributes


class Placement(Component):
    """What turns images into noise u, attributes z and style; the way back is always z = SCM(u), x = g(z, style).

    Models of this family differ in this alone. With the SCM in the prior, an encoder reads z and the SCM abducts u;
    with the SCM behind the encoder, that reads u; with the SCM over the labels, z are the known labels.
    """

    kind = "placement"
    default = "prior"
    flag = "Where the causal model sits among the networks."
    saved = True

    @abstractmethod
    def abduct(
        self, causal: CausalModel, mechanism: ImageMechanism, image: Tensor, values: Tensor | None
    ) -> tuple[Tensor, Tensor, Any]:
        """Noise u [b, d], attributes z [b, d] and style of images [b, c, h, w].

        Args:
            causal: the causal model of the attributes.
            mechanism: the image's mechanism.
            image: images in [-1, 1].
            values: their attributes [b, d] in own units, where they are known.

        Raises:
            ConfigError: where the mechanism cannot do what this placement needs.
            DataError: where values are needed and none are given.
        """

    @classmethod
    def contract(cls, build: Callable[..., Any], lab: Any) -> None:
        model, _ = lab.toy_model()
        placement, values = build(), torch.as_tensor(lab.toy_table().values[:2])
        image = torch.rand(2, *lab.SHAPE) * 2 - 1
        with torch.no_grad():
            u, z, style = placement.abduct(model.causal, model.image, image, values)
            again = model.scm(u, model.structure.adjacency())
        assert z.shape == values.shape, "attributes are [b, d]"
        assert torch.allclose(again, z, atol=1e-4), "law 1: the SCM makes the attributes of the noise"
        assert model.render(z, style).shape == image.shape, "the style is the image mechanism's"


class Prior(Placement):
    """The SCM is the prior of the latent (CCIG, DEAR): the image's mechanism reads z, and the SCM abducts u from it."""

    name = "prior"

    def abduct(
        self, causal: CausalModel, mechanism: ImageMechanism, image: Tensor, values: Tensor | None
    ) -> tuple[Tensor, Tensor, Any]:
        if not isinstance(mechanism, ReadsAttributes):
            raise ConfigError(
                f"placement.name=prior needs an image mechanism that reads attributes, and {mechanism.name} does not; "
                "choose --image bigan, or another placement"
            )
        read, style = mechanism.read(image)
        z = causal.inputs.latents(read)
        return causal.noise(z), z, style
