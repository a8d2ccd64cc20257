"""A model's counterfactuals as one function of tensors: image, mask of do, values. What other programs can hold."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ccigkit.causal.scm.base import longest_path
from ccigkit.errors import ConfigError
from ccigkit.image.base import ReadsAttributes
from ccigkit.model.detail import keep_detail
from ccigkit.model.model import CausalImageModel


class Frozen(nn.Module):
    """Images [b, c, h, w], which attributes are set [b, d] and to what [b, d], to counterfactuals and attributes.

    The same as `CausalImageModel.counterfactual` and `values`, with a do() of its own for each image, and with nothing
    left to decide by what the tensors hold. Noise is abducted as there: that of a label is the one that its reading
    stands for, so the same image always has the same answer.

    Raises:
        ConfigError: where attributes are not read off the image alone.
    """

    def __init__(self, model: CausalImageModel) -> None:
        super().__init__()
        if model.placement.name != "prior" or not isinstance(model.image, ReadsAttributes):
            raise ConfigError(
                f"an export reads attributes off the image, and placement.name={model.placement.name} with the image "
                f"mechanism {model.image.name!r} does not; only runs of --placement prior --image bigan can be exported"
            )
        self.model = model
        adjacency = model.structure.adjacency().detach()
        self.abduct, self.steps = model.scm.along(adjacency)
        self.length = longest_path(adjacency)
        self.labelled = [attribute.labelled for attribute in model.attributes]
        self.register_buffer("support", (adjacency != 0).to(adjacency.dtype), persistent=False)
        for j, attribute in enumerate(model.attributes):
            self.register_buffer(f"levels{j}", torch.tensor(attribute.levels), persistent=False)

    def forward(self, image: Tensor, mask: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """The images [b, c, h, w] had do() been so, and their attributes [b, d] then, in own units.

        Args:
            image: [b, c, h, w] in [-1, 1], at the model's own size.
            mask: [b, d], true where an attribute is set.
            values: [b, d], what it is set to in its own units, a category by its position; elsewhere anything.
        """
        causal, mechanism = self.model.causal, self.model.image
        y, style = mechanism.read(image)  # type: ignore[operator]
        z = causal.inputs.latents(y)
        held = torch.where(mask, self._latents(values), z)
        noise, changed = self.abduct(z), held
        for predict in self.steps:
            changed = torch.where(mask, held, predict(changed, noise).to(z.dtype))
        changed = torch.where(self._reached(mask & (held != z), mask), changed, z)
        drawn, after = (mechanism.render(causal.inputs.of(one), style) for one in (z, changed))
        return keep_detail(image, drawn, after), self._written(changed).to(values.dtype)

    def _latents(self, values: Tensor) -> Tensor:
        """Values [b, d] in own units as the latents [b, d] that do() sets."""
        columns = []
        for j, attribute in enumerate(self.model.attributes):
            if attribute.kind == "continuous":
                columns.append(attribute.to_latent(values[:, j].double()).float())
            else:
                levels: Tensor = self.get_buffer(f"levels{j}")
                columns.append(levels[values[:, j].round().long().clamp(0, len(levels) - 1)])
        return torch.stack(columns, dim=1)

    def _written(self, z: Tensor) -> Tensor:
        """Latents [b, d] as values [b, d] that a table may have: as `CausalModel.values`."""
        columns = list(self.model.attributes.to_values(z.double()).unbind(dim=1))
        for j, attribute in enumerate(self.model.attributes):
            if self.labelled[j]:
                columns[j] = (columns[j] > 0.5).to(columns[j])
            elif attribute.kind == "categorical":
                columns[j] = columns[j].round().clamp(0, len(attribute.categories) - 1)
        return torch.stack(columns, dim=1)

    def _reached(self, reached: Tensor, mask: Tensor) -> Tensor:
        """Which attributes [b, d] a do() changes: those it holds at another value, and the descendants of these."""
        for _ in range(self.length):
            reached = reached | (((reached.to(self.support.dtype) @ self.support) > 0) & ~mask)
        return reached

    support: Tensor
