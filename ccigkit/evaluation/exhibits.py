"""What a report shows of a model: its pictures under do(), beside the true ones, and what each attribute moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ccigkit.causal.attributes import Attribute
from ccigkit.causal.graph import CausalGraph
from ccigkit.causal.scm.base import Intervention
from ccigkit.data.base import DataModule, RenderedData, Split
from ccigkit.metrics.base import HasLatents, ImageModel, draws_alone, graph_of
from ccigkit.metrics.distribution import settings
from ccigkit.metrics.protocol.answers import Abducted, edit, respondents, sample
from ccigkit.metrics.protocol.questions import as_drawn, ask
from ccigkit.metrics.readers.predictor import Predictor
from ccigkit.model.detail import keep_detail
from ccigkit.pixels import spread, to_float
from ccigkit.structure.assess.falsify import in_a_line

COLUMNS = 8  # pictures in a row
SWEEP = 9  # steps of a traversal
MANY = 128  # images that a mean is taken over


@dataclass(frozen=True)
class Strip:
    """A row of pictures [n, c, h, w] in [-1, 1], what they are, and a word under each."""

    label: str
    images: Tensor
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Panel:
    """Rows of pictures under one heading."""

    heading: str
    strips: tuple[Strip, ...]


@dataclass(frozen=True)
class Seeing:
    """Pictures of an attribute seen at a value and set to it, and the means [rows, d] of all attributes in both."""

    panel: Panel
    names: tuple[str, ...]
    means: dict[str, list[float]]


@dataclass(frozen=True)
class Effects:
    """What moves when an attribute is set from low to high: [d, d] in per cent of a range, row to column."""

    heading: str
    names: tuple[str, ...]
    matrix: Tensor


@dataclass(frozen=True)
class Exhibit:
    """All that a report shows of one model."""

    name: str
    doing: Panel
    counterfactuals: tuple[Panel, ...]
    seeing: tuple[Seeing, ...]
    sweeps: tuple[Panel, ...]
    effects: tuple[Effects, ...]
    graph: CausalGraph | None
    truth: CausalGraph | None
    verdict: str  # what the table says of the graph, in a line
    log: Sequence[dict[str, Any]]
    sections: Mapping[str, str] = field(default_factory=dict)  # of plugins: heading and HTML


def exhibit(
    name: str, model: ImageModel, data: DataModule, read: Predictor, log: Sequence[dict[str, Any]] = ()
) -> Exhibit:
    """Let a model draw all that a report shows of it; `log` is that of its training, if there was one here."""
    graph = graph_of(model)
    test = data.load("test")
    return Exhibit(
        name,
        doing(model, test),
        tuple(counterfactuals(model, data)),
        tuple(seeing(model, data, read)),
        tuple(sweeps(model, test)),
        tuple(effects(model, data, read)),
        graph,
        data.truth,
        in_a_line(graph, data.table()) if graph else "",
        log,
    )


def doing(model: ImageModel, test: Split) -> Panel:
    """Test images, and the same under every single do()."""
    images, values = shown(test, COLUMNS)
    strips = [Strip("test images", images)]
    looked = Abducted(model, images, values)
    if draws_alone(model):
        strips.append(Strip("as it draws them", looked.drawn({})))
    strips += [
        Strip(said(attribute, value), looked.edit({attribute.name: value}))
        for attribute in model.attributes
        for value in settings(attribute)
    ]
    return Panel("", tuple(strips))


def counterfactuals(model: ImageModel, data: DataModule) -> list[Panel]:
    """For each attribute test images, what the model makes of them, the truth, and the controls."""
    labels = {
        "model": "the model's",
        "oracle": "the true ones",
        "no graph": "the model's, without its graph",
        "resample": "nearest real image",
    }
    panels = []
    answers = respondents(model, data)
    for question in ask(model, data, COLUMNS * len(model.attributes), seed=0):
        words = [
            f"{short(question.attribute, v)} → {short(question.attribute, a)}"
            for v, a in _pairs(question.own, question.asked)
        ]
        strips = [Strip("factual", question.images, tuple(words))]
        made = {who: answers[who](question) for who in labels if who in answers}
        strips += [Strip(labels[who], images) for who, images in made.items()]
        if "oracle" in made:
            error = (made["model"] - made["oracle"]).abs().mean(dim=1, keepdim=True).expand_as(made["model"])
            strips.insert(3, Strip("where they differ", (1 - 2 * error).clamp(-1, 1)))
        panels.append(Panel(f"do({spelled(question.name)})", tuple(strips)))
    return panels


def seeing(model: ImageModel, data: DataModule, read: Predictor) -> list[Seeing]:
    """For every attribute that has causes: images in which it has a value, against images in which it was set to it."""
    graph = data.truth or graph_of(model)
    if graph is None:
        return []
    train = data.load("train")
    values = torch.as_tensor(train.values).float()
    found = []
    for j, attribute in enumerate(read.attributes):
        if not graph.parents(attribute.name):
            continue
        asked = settings(attribute)[-1]
        drawn = as_drawn(attribute, torch.full((MANY,), asked), data)
        mixed = torch.randperm(len(train), generator=torch.Generator().manual_seed(j))
        near = mixed[(values[mixed, j] - drawn[0]).abs().argsort(stable=True)[:MANY]]
        made = torch.cat([*sample(model, MANY, {attribute.name: asked}, seed=0)])
        strips = [Strip("seen", to_float(train.images[near[:COLUMNS]])), Strip("set, by the model", made[:COLUMNS])]
        means = {
            "all images": values.mean(dim=0),
            "seen": values[near].mean(dim=0),
            "set, by the model": read(made).mean(dim=0),
        }
        if isinstance(data, RenderedData):
            noise = data.sample_noise(MANY, torch.Generator().manual_seed(j))
            true = data.counterfactual(noise, {attribute.name: drawn})
            strips.append(Strip("set, in truth", to_float(true.images[:COLUMNS])))
            means["set, in truth"] = torch.as_tensor(true.values).float().mean(dim=0)
        panel = Panel(said(attribute, asked)[3:-1], tuple(strips))
        found.append(Seeing(panel, read.attributes.names, {who: m.tolist() for who, m in means.items()}))
    return found


def sweeps(model: ImageModel, test: Split) -> list[Panel]:
    """Two test images with each attribute moved through its range, and its effects with it."""
    images, values = shown(test, 4)
    panels = []
    for row in (0, 2):
        strips = [
            Strip(spelled(attribute.name), sweep(model, images[row : row + 1], values[row : row + 1], j))
            for j, attribute in enumerate(model.attributes)
        ]
        panels.append(Panel("", tuple(strips)))
    return panels


def sweep(model: ImageModel, image: Tensor, values: Tensor, j: int) -> Tensor:
    """One image [1, c, h, w] of attributes [1, d] with an attribute at ever higher values [n, c, h, w].

    A model that shows its latents moves a label by degrees; any other can only be asked for each label.
    """
    attribute: Attribute = model.attributes[j]
    if attribute.kind == "continuous" or not isinstance(model, HasLatents):
        continuous = attribute.kind == "continuous"
        at = torch.linspace(attribute.low, attribute.high, SWEEP) if continuous else torch.tensor(settings(attribute))
        same = image.expand(len(at), -1, -1, -1), values.expand(len(at), -1)
        return edit(model, *same, {attribute.name: at})
    same = image.expand(SWEEP, -1, -1, -1), values.expand(SWEEP, -1)
    degrees = torch.linspace(min(attribute.levels), max(attribute.levels), SWEEP)
    with torch.no_grad():
        looked = Abducted(model, *same)
        moved = model.causal.act(looked.codes.z, Intervention.of({j: degrees}, looked.codes.z))
        drawn = model.render(moved, looked.codes.style)
        before = model.render(looked.codes.z, looked.codes.style)
    return looked.checked(keep_detail(same[0].to(drawn), before, drawn))


def effects(model: ImageModel, data: DataModule, read: Predictor) -> list[Effects]:
    """What moves when each attribute is set from low to high, in the model's pictures and in the true ones."""
    test = data.load("test")
    images, values = shown(test, MANY)
    names, looked = model.attributes.names, Abducted(model, images, values)
    ours = [
        moved(read, *(looked.edit({a.name: at}) for at in (settings(a)[0], settings(a)[-1]))) for a in model.attributes
    ]
    found = [Effects("in the model's pictures", names, torch.stack(ours))]
    if isinstance(data, RenderedData) and test.noise is not None:
        noise = test.noise[spread(len(test), MANY)]
        true = []
        for a in read.attributes:
            ends = (as_drawn(a, torch.full((len(noise),), at), data) for at in (settings(a)[0], settings(a)[-1]))
            true.append(moved(read, *(to_float(data.counterfactual(noise, {a.name: end}).images) for end in ends)))
        found.append(Effects("in the true pictures", names, torch.stack(true)))
    return found


def moved(read: Predictor, low: Tensor, high: Tensor) -> Tensor:
    """The mean change [d] of every attribute between two sets of images [n, c, h, w], in per cent of its range."""
    change = (read(high) - read(low)).mean(dim=0, keepdim=True)
    return (read.percent(change) * change.sign())[0]


def shown(split: Split, n: int) -> tuple[Tensor, Tensor]:
    """Images [n, c, h, w] from all over a split, and their attributes [n, d]."""
    rows = spread(len(split), n)
    return to_float(split.images[rows]), torch.as_tensor(split.values[rows]).float()


def said(attribute: Attribute, value: float) -> str:
    """An intervention as a person writes it."""
    return f"do({spelled(attribute.name)}\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{short(attribute, value)})"


def short(attribute: Attribute, value: float) -> str:
    """A value in few letters."""
    return f"{value:.0f}" if attribute.kind == "binary" else attribute.written(value)


def spelled(name: str) -> str:
    """A name as words."""
    return name.replace("_", " ")


def _pairs(a: Tensor, b: Tensor) -> list[tuple[float, float]]:
    return list(zip(a.tolist(), b.tolist(), strict=True))
