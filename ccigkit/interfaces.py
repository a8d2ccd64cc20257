"""The kinds of component: what each must do, and what it gets for free.

Letters in shapes: n table rows, b batch, d attributes, k latent size, c h w image. Every constructor is written
`def __init__(self, <wiring>, *, <options>)`: the wiring of its kind (below, `wiring`) comes from ccigkit, the options
from the user. `ccigkit.testing.check` holds a component to its contract.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from ccigkit.attributes import Attribute, Attributes, Table, Values
from ccigkit.errors import DataError
from ccigkit.graph import CausalGraph, Knowledge, reachability

if TYPE_CHECKING:
    from ccigkit.model import CausalImageModel

ImageShape = tuple[int, int, int]  # channels, height, width
SplitName = Literal["train", "test"]


class Component(ABC):
    """Anything that is chosen by name: `kind` is its interface's, `name` its own, `wiring` what ccigkit passes."""

    kind: ClassVar[str]
    name: ClassVar[str]
    wiring: ClassVar[tuple[str, ...]] = ()


# --- data -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Split:
    """Images [n, c, h, w] as uint8, their attributes [n, d] in own units, and the noise that made them, if known."""

    images: Tensor
    values: Values
    noise: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)


class DataModule(Component):
    """Images with attributes.

    `knowledge` is what anybody knows of these attributes' graph before looking (a smile does not make one male);
    `truth` is the graph that made the data, or None; `frame` is the share of a picture's shorter side that the images
    show, so that a user's own picture can be cut as the training images were.
    """

    kind = "data"
    attributes: tuple[Attribute, ...]
    image_shape: ImageShape
    frame: float = 1.0
    knowledge: Knowledge = Knowledge()
    truth: CausalGraph | None = None

    @property
    def preprocess_id(self) -> str:
        """How files became images, for results to carry; empty where there are no files."""
        return ""

    @abstractmethod
    def load(self, split: SplitName) -> Split:
        """The images and attributes of one split; the same rows in the same order at every call."""

    def table(self) -> Table:
        """The training split's attributes, with their ranges and scales fitted."""
        return Table.fit(self.attributes, self.load("train").values, self.truth)

    def in_batches(self, rows: Iterable[Tensor]) -> Iterator[Tensor]:
        """The training images [b, c, h, w], as uint8, of one batch of the table's rows [b] after another.

        Training asks for its images here. Data that is too large to load overrides this, and may read ahead.
        """
        images = self.load("train").images
        return (images.index_select(0, wanted) for wanted in rows)  # many times as fast as images[wanted]


class RenderedData(DataModule):
    """Data drawn from a known causal model, so every counterfactual has a true answer.

    Noise is one row [n, m] per image: what is independent of the graph (identity included) and shared between an image
    and its counterfactuals.
    """

    truth: CausalGraph

    @abstractmethod
    def sample_noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Noise [n, m] for n new images."""

    @abstractmethod
    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        """Attributes [n, d] that follow from the noise, with those in `do` held at the values given for them."""

    @abstractmethod
    def draw(self, values: Tensor, noise: Tensor) -> Tensor:
        """Images [n, c, h, w] as uint8 of attributes [n, d]; of the noise only what is not in them is looked at."""

    def counterfactual(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Split:
        """What the same noise gives under an intervention; with an empty one, the sample itself."""
        values = self.values(noise, do)
        return Split(self.draw(values, noise), values.double().numpy(), noise)


# --- structure --------------------------------------------------------------------------------------------------------


class StructureLearner(Component):
    """Learns which attribute causes which from the attribute table."""

    kind = "structure"
    wiring = ("names",)

    @abstractmethod
    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        """A directed acyclic graph over the table's attributes that honours the knowledge.

        Its strengths need not be effects; what calls this refits them where it wants to.

        Raises:
            GraphError, DataError: where the table or the knowledge cannot be learned from.
        """


class JointStructureLearner(StructureLearner, nn.Module):
    """A structure learner that is itself a network, and can go on learning with the images.

    `learn` leaves its parameters at the learned graph, and joint training goes on from there.
    """

    @abstractmethod
    def adjacency(self) -> Tensor:
        """[d, d], differentiable, of any real weights, the diagonal zero; [i, j] for i -> j."""

    @abstractmethod
    def loss(self, latents: Tensor) -> Mapping[str, Tensor]:
        """The terms "reconstruction", "sparsity" and "acyclicity" for attributes [b, d] on the latent scale."""

    @abstractmethod
    def tighten(self) -> None:
        """One outer step of the constraint: raise the price of a cycle. Called between rounds of training."""

    @abstractmethod
    def graph(self) -> CausalGraph:
        """The graph now: thresholded, projected to a DAG, with a note on what was cut."""


# --- the causal model -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Intervention:
    """Latents held fixed: `mask` says which, `values` at what; both [d] for a whole batch or [b, d] per sample."""

    mask: Tensor
    values: Tensor

    @classmethod
    def of(cls, do: Mapping[int, float | Tensor], like: Tensor) -> Intervention:
        """{position: latent, a number or [b]} for a batch shaped like z [b, d]."""
        mask = torch.zeros(like.shape[-1], dtype=torch.bool, device=like.device)
        values = torch.zeros_like(like)
        for position, latent in do.items():
            mask[position] = True
            values[:, position] = torch.as_tensor(latent).to(values)
        return cls(mask, values)

    def apply(self, z: Tensor) -> Tensor:
        """Z [b, d] with the held latents in place."""
        return torch.where(self.mask, self.values.to(z.dtype), z)


class SCM(Component, nn.Module):
    """A structural causal model over latents: z_j = f_j(parents of j, u_j), and back.

    The adjacency [d, d] is an argument, not a part: the same mechanisms answer under another graph, and a learner's
    differentiable one flows through. It must be acyclic. A subclass writes `mechanism` and `inverse`; the rest, with
    the meaning of do(), is written here once for all.
    """

    kind = "scm"
    wiring = ("size",)
    quantiles: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        levels = (torch.arange(1001, dtype=torch.float64) + 0.5) / 1001
        normal = torch.special.ndtri(levels).float()
        self.register_buffer("quantiles", normal[:, None].repeat(1, size))

    @abstractmethod
    def mechanism(self, z: Tensor, adjacency: Tensor, u: Tensor) -> Tensor:
        """All d mechanisms at once, z [b, d] and noise u [b, d] to new z [b, d]; z_j may use z_i only through
        adjacency[i, j].
        """

    @abstractmethod
    def inverse(self, z: Tensor, adjacency: Tensor) -> Tensor:
        """The noise u [b, d] with mechanism(z, adjacency, u) == z."""

    def loss(self, z: Tensor, adjacency: Tensor) -> Tensor:
        """How badly the mechanisms explain observed z [b, d]: the mean square of the noise they leave over.

        That is the likelihood of additive noise; an SCM whose noise enters otherwise writes its own.
        """
        return self.inverse(z, adjacency).square().mean()

    def forward(self, u: Tensor, adjacency: Tensor, intervention: Intervention | None = None) -> Tensor:
        """Noise u [b, d] to z [b, d], under an intervention if one is given."""
        with torch.autocast(u.device.type, enabled=False):
            z = torch.zeros_like(u)
            for _ in range(longest_path(adjacency) + 1):
                z = self.mechanism(z, adjacency, u)
                z = intervention.apply(z) if intervention else z
            return z

    def abduct(self, z: Tensor, adjacency: Tensor) -> Tensor:
        """Endogenous z [b, d] back to the noise [b, d] that made them."""
        with torch.autocast(z.device.type, enabled=False):
            return self.inverse(z.float(), adjacency)

    def counterfactual(self, z: Tensor, adjacency: Tensor, intervention: Intervention) -> Tensor:
        """Z [b, d] as it would have been: abduct, act, predict (Pearl, 2009, section 7.1).

        What the intervention cannot reach keeps its value bit for bit.
        """
        z = z.float()
        changed = self(self.abduct(z, adjacency), adjacency, intervention)
        reach = torch.as_tensor(reachability(_support(adjacency)), device=z.device, dtype=z.dtype)
        reached = (intervention.mask.to(z.dtype) @ reach) > 0
        return torch.where(reached | intervention.mask, changed, z)

    def sample_noise(self, n: int) -> Tensor:
        """Noise [n, d], each column independent, from the fitted quantiles; standard normal before any fit."""
        at = torch.rand(n, self.size, device=self.quantiles.device) * (len(self.quantiles) - 1)
        below = at.long().clamp(max=len(self.quantiles) - 2)
        low, high = self.quantiles.gather(0, below), self.quantiles.gather(0, below + 1)
        return torch.lerp(low, high, at - below)

    @torch.no_grad()
    def fit_noise(self, z: Tensor, adjacency: Tensor) -> None:
        """Take the noise's distribution, column by column, from observed z [n, d]."""
        levels = torch.linspace(0, 1, len(self.quantiles), device=z.device)
        self.quantiles.copy_(torch.quantile(self.abduct(z, adjacency), levels, dim=0))


def _support(adjacency: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray((adjacency.detach() != 0).cpu().numpy())


def longest_path(adjacency: Tensor) -> int:
    """The number of edges on the longest directed path of an acyclic adjacency [d, d]."""
    support = _support(adjacency)
    ends, length = support.any(axis=0), 0
    while ends.any():  # `ends` marks where a path of length + 1 edges ends
        length += 1
        ends = support[ends].any(axis=0)
        if length > len(support):
            raise ValueError("a structural causal model needs an acyclic adjacency; project it first")
    return length


class Structure(nn.Module):
    """The graph inside a model: edge weights [d, d] inside an acyclic mask that never grows.

    Whether the weights go on learning is the difference between the schedules "finetune" and "freeze".
    """

    mask: Tensor
    weights: Tensor

    def __init__(self, graph: CausalGraph, *, learns: bool = False) -> None:
        super().__init__()
        self.names = graph.names
        self.register_buffer("mask", torch.tensor(graph.adjacency).float())
        weights = torch.tensor(graph.strengths).float()
        if learns:
            self.weights = nn.Parameter(weights)
        else:
            self.register_buffer("weights", weights)

    def adjacency(self) -> Tensor:
        """[d, d], acyclic, differentiable."""
        return self.weights * self.mask

    def graph(self) -> CausalGraph:
        """The graph now."""
        return CausalGraph(self.names, self.adjacency().detach().double().cpu().numpy())


class JointStructure(nn.Module):
    """A structure that is still being learned: the learner's weights on the edges it would export now."""

    def __init__(self, learner: JointStructureLearner) -> None:
        super().__init__()
        self.learner = learner

    def adjacency(self) -> Tensor:
        """[d, d], acyclic, differentiable: the learner's weights on the edges that it would export now.

        So an SCM never sees a cycle, whatever the learner still believes.
        """
        weights = self.learner.adjacency()
        return weights * torch.as_tensor(self.graph().adjacency).to(weights)

    def graph(self) -> CausalGraph:
        """The graph now, thresholded and projected by the learner's own rule."""
        return self.learner.graph()


# --- networks ---------------------------------------------------------------------------------------------------------


class Encoder(Component, nn.Module):
    """Image to latent: the first d latents are the attributes' z, the other k - d the residual."""

    kind = "encoder"
    wiring = ("image_shape", "latent_size")

    @abstractmethod
    def forward(self, image: Tensor) -> Normal:
        """Images [b, c, h, w] in [-1, 1] to a distribution over latents [b, k]."""

    if TYPE_CHECKING:
        __call__ = forward


class Generator(Component, nn.Module):
    """Latent to image. Deterministic, so that factual and counterfactual differ only by their latents."""

    kind = "generator"
    wiring = ("image_shape", "latent_size")

    @abstractmethod
    def forward(self, latent: Tensor) -> Tensor:
        """Latents [b, k] to images [b, c, h, w] in [-1, 1]."""

    if TYPE_CHECKING:
        __call__ = forward


class Discriminator(Component, nn.Module):
    """Tells encoder pairs (image, E(image)), positive, from generator pairs (G(latent), latent)."""

    kind = "discriminator"
    wiring = ("image_shape", "latent_size")

    @abstractmethod
    def forward(self, image: Tensor, latent: Tensor | None = None) -> Tensor:
        """Logits [b] for pairs of images [b, c, h, w] and latents [b, k]; without latents, for the images alone."""

    if TYPE_CHECKING:
        __call__ = forward


# --- objectives -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """Images [b, c, h, w] in [-1, 1] and their attributes [b, d] on the latent scale."""

    image: Tensor
    attributes: Tensor


@dataclass(frozen=True)
class Phase:
    """One update: which parts move, and the named terms whose sum they descend."""

    name: str
    updates: tuple[str, ...]
    loss: Callable[[Batch], Mapping[str, Tensor]]
    every: int = 1


class Objective(Component):
    """What is minimised: a list of phases over the parts of a model. One loop plays them all."""

    kind = "objective"
    wiring = ("model", "discriminator", "latents")

    def __init__(self, model: CausalImageModel, discriminator: Discriminator, latents: Tensor) -> None:
        self.model = model
        self.discriminator = discriminator
        self.latents = latents  # the whole training table [n, d] on the latent scale

    @abstractmethod
    def phases(self) -> list[Phase]:
        """The phases of one step, in order."""

    @abstractmethod
    def rates(self) -> Mapping[str, float]:
        """Each part's learning rate (Adam)."""

    def parts(self) -> dict[str, nn.Module]:
        """Everything that learns, by name. An objective with parts of its own adds them here."""
        return {
            "encoder": self.model.encoder,
            "generator": self.model.generator,
            "scm": self.model.scm,
            "structure": self.model.structure,
            "discriminator": self.discriminator,
        }

    def begin(self) -> None:
        """Called once, before the first step of a training (not on resuming one)."""

    def between(self, step: int) -> None:
        """Called after every step, for what is not descended: multipliers, refitted noise."""


# --- metrics ----------------------------------------------------------------------------------------------------------


Row = dict[str, float | str]


class ImageModel(Protocol):
    """What is asked of a model to be measured, ours or anybody's: abduct, predict, sample.

    Images are float [b, c, h, w] in [-1, 1]; interventions are {attribute: value} in the attribute's own units, one
    value for all images or one [b] for each. What `abduct` returns is the model's own affair: `predict` gets it back.
    """

    @property
    def attributes(self) -> Attributes:
        """The attributes that can be intervened on, those of the data set in its order."""

    @property
    def image_shape(self) -> ImageShape:
        """Channels, height and width of the images."""

    def abduct(self, image: Tensor) -> Any:
        """What images [b, c, h, w] are made of.

        A model that needs their labels too takes them as a second, optional argument named `attributes`: the values
        [b, d] in own units, which are then passed.
        """

    def predict(self, codes: Any, do: Mapping[str, float | Tensor]) -> Tensor:
        """The same images [b, c, h, w] had `do` been so; with an empty `do`, as the model sees them."""

    def sample(self, n: int, do: Mapping[str, float | Tensor] | None = None, *, seed: int | None = None) -> Tensor:
        """N new images [n, c, h, w], under an intervention if one is given; the same seed gives the same images."""


class Metric(Component):
    """A question to a model, answered in rows that a table can show and a JSON file can keep.

    In each row `do` is what was asked and `row` is who answers: `model`, or one of the controls.
    """

    kind = "metric"

    @abstractmethod
    def measure(self, model: ImageModel, data: DataModule) -> list[Row]:
        """One row per thing measured, control rows included.

        Raises:
            DataError: where the data, or a model from outside, cannot support the metric (no known truth, for
                instance), with the reason.
        """

    @classmethod
    def measure_together(
        cls, metrics: Sequence[Metric], model: ImageModel, data: DataModule
    ) -> list[list[Row] | DataError]:
        """The rows of several metrics, each with `cls`'s own `measure_together`, or the reason why it has none.

        A family whose metrics look at the same images overrides this, so that they are made once.
        """
        found: list[list[Row] | DataError] = []
        for metric in metrics:
            try:
                found.append(metric.measure(model, data))
            except DataError as reason:
                found.append(reason)
        return found
