"""The cost of a wrong graph: the same trained parts, asked under other graphs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, find_cycle
from ccigkit.causal.model import STEPS as MECHANISM_STEPS
from ccigkit.causal.model import CausalModel, seeded
from ccigkit.causal.regimes import undisturbed
from ccigkit.causal.strengths import fit_strengths
from ccigkit.causal.structure import Structure
from ccigkit.component.options import Count, Seed
from ccigkit.data.base import DataModule, RenderedData
from ccigkit.errors import DataError
from ccigkit.metrics.base import ImageModel, Metric, Rewirable, Row
from ccigkit.metrics.distribution import true_settings
from ccigkit.metrics.graph import against, random_graph
from ccigkit.metrics.protocol.answers import Abducted, Do, in_codes, respondents, sample
from ccigkit.metrics.protocol.counterfactual import Kept
from ccigkit.metrics.protocol.questions import ask, known_truth
from ccigkit.metrics.readers.predictor import STEPS, Pictures, ReadsPictures, look
from ccigkit.metrics.truth import Truth

DRAWN = 3  # random graphs, and reversed edges: each row of these is a mean
CONTROLS = ("identity", "resample", "oracle")
SHOWN = ("shd", "sid", "mmd", "energy", "tvd", "l1", "changed", "skill", "attributes")

Figures = dict[str, float]
Who = tuple[str, int]  # the name of a row, and which of its graphs
Models = Mapping[Who, ImageModel]
TRAINED = ("as trained", 0)


class Graphs(ReadsPictures, Metric):
    """What a model would answer under other graphs, its networks as they are: the cost of a wrong graph.

    Under each graph the mechanisms of a new SCM, of the model's kind, are fitted to the training table; `as trained`
    are the model's own. A row has how far the graph is from the true one (`shd`, and `sid` where gadjid is installed),
    and the means over every do() of what `distribution` and `truth` measure: all graphs are put the same questions.

    Args:
        n: questions asked under each graph: pairs of a test image and a do().
        samples: samples under each do() and each graph.
        steps: training steps of the mechanisms under each graph.
        seed: seed of graphs, questions and samples, and of the predictor.
        predictor_steps: training steps of the predictor.
    """

    name = "graphs"

    def __init__(
        self,
        *,
        n: Count = 500,
        samples: Annotated[int, Ge(2)] = 100,
        steps: Count = MECHANISM_STEPS,
        seed: Seed = 0,
        predictor_steps: Count = STEPS,
    ) -> None:
        self.n, self.samples, self.steps, self.seed, self.predictor_steps = n, samples, steps, seed, predictor_steps

    def measure(self, model: ImageModel, data: DataModule) -> list[Row]:
        if not isinstance(model, Rewirable):
            raise DataError(f"{self.name} asks models that can be put under another graph, as runs of ccigkit can")
        drawn = known_truth(self.name, data)
        table, models, edges = data.table(), {TRAINED: model}, {TRAINED: far(model.graph, drawn.truth)}
        for name, graphs in alternatives(model.graph, drawn.truth, self.seed):
            for number, graph in enumerate(graphs):
                models[name, number] = under(model, refitted(graph, table), table, seed=self.seed, steps=self.steps)
                edges[name, number] = far(models[name, number].graph, drawn.truth)
        wrong, off = self.errors(models, drawn), self.distances(models, drawn)
        found: dict[str, list[Figures]] = defaultdict(list)
        for who in wrong:
            found[who[0]].append({**edges.get(who, {}), **off[who], **wrong[who]})
        return [{"do": "every one", "row": name, **averaged(figures)} for name, figures in found.items()]

    def errors(self, models: Models, data: RenderedData) -> dict[Who, Figures]:
        """How far everybody's counterfactuals are from the true ones, the controls' too."""
        model = models[TRAINED]
        truth = Truth(n=self.n, seed=self.seed, predictor_steps=self.predictor_steps).to(self.device)
        own, score = respondents(model, data, CONTROLS), truth.scorer(model, data)
        kept: dict[Who, Kept] = defaultdict(Kept)
        for question in ask(model, data, self.n, self.seed):
            looked = Abducted(model, question.images, question.values)
            for who, asked in models.items():
                kept[who].add(score(question, Pictures(answer(asked, looked, question.do))))
            for control in CONTROLS:
                kept[control, 0].add(score(question, Pictures(own[control](question))))
        rows = {who: next(iter(truth.rows({("", who[0]): scores.joined()}, data))) for who, scores in kept.items()}
        return {who: {k: float(row[k]) for k in SHOWN if k in row} for who, row in rows.items()}

    def distances(self, models: Models, data: RenderedData) -> dict[Who, Figures]:
        """How far everybody's samples under each do() are from true ones, the mean over all, the controls' too."""
        n, seed, read = self.samples, self.seed, self.predictor(data)
        generator = torch.Generator().manual_seed(seed)
        test, shown = data.load("test"), look(read, data.load("test").images)
        values = torch.as_tensor(test.values).float()
        found: dict[Who, list[Figures]] = defaultdict(list)
        for setting in true_settings(read, data, n, generator):
            views = {who: read.views(sample(model, n, setting.do, seed)) for who, model in models.items()}
            views["identity", 0] = shown[torch.arange(min(n, len(test)))]
            views["resample", 0] = shown[setting.nearest(values)[:n]]
            views["oracle", 0] = setting.again
            for who, view in views.items():
                found[who].append(setting.apart(view, read))
        return {who: averaged(figures) for who, figures in found.items()}


def answer(model: ImageModel, looked: Abducted, do: Do) -> Tensor:
    """What a model makes of images [b, c, h, w] that the same networks have looked at, under whatever graph.

    Of their codes u alone depends on the graph, and `predict` takes it anew from z.
    """
    return looked.checked(model.predict(looked.codes, in_codes(do, len(looked.values))))


def alternatives(learned: CausalGraph, truth: CausalGraph, seed: int) -> Iterator[tuple[str, list[CausalGraph]]]:
    """The graphs that are asked about, by the name of their row."""
    names, random = learned.names, np.random.default_rng(seed)
    truth = truth.reordered(names)
    yield "learned", [learned]
    yield "true", [truth]
    turned = list(reversals(truth))
    yield "one edge reversed", [turned[at] for at in random.permutation(len(turned))[:DRAWN]]
    yield "empty", [CausalGraph(names, np.zeros_like(truth.strengths))]
    place = [truth.order.index(name) for name in names]
    yield "full", [CausalGraph(names, np.less.outer(place, place).astype(float))]
    yield "random", [random_graph(names, len(truth.edges), random) for _ in range(DRAWN)]


def reversals(graph: CausalGraph) -> Iterator[CausalGraph]:
    """The graph with one edge turned around, once for every edge that this closes no cycle with."""
    for cause, effect in graph.edges:
        strengths, (i, j) = graph.strengths.copy(), (graph.index(cause), graph.index(effect))
        strengths[i, j], strengths[j, i] = 0, graph.strengths[i, j]
        if not find_cycle(strengths != 0):
            yield replace(graph, strengths=strengths)


def refitted(graph: CausalGraph, table: Table) -> CausalGraph:
    """The graph with the strengths that the training table gives its edges."""
    return replace(graph, strengths=fit_strengths(table, graph.adjacency))


def under(model: Rewirable, graph: CausalGraph, table: Table, *, seed: int, steps: int = MECHANISM_STEPS) -> Any:
    """The model under another graph, with new mechanisms fitted to the training table."""
    scm = model.causal.scm
    device = scm.quantiles.device
    with seeded(seed, device):
        causal = CausalModel(model.causal.attributes, Structure(graph), scm.unfitted()).to(device)
        causal.fit_mechanisms(torch.as_tensor(undisturbed(table).latents).float().to(device), steps=steps)
    return model.with_causal(causal.eval().requires_grad_(False))


def far(graph: CausalGraph, truth: CausalGraph) -> Figures:
    """How far a graph is from the true one: SHD, and SID where gadjid is installed."""
    return {key: value for key, value in against(graph, truth).items() if key in SHOWN}


def averaged(figures: list[Figures]) -> Figures:
    """The means of figures, of those that could be measured."""
    return {key: float(np.nanmean([one[key] for one in figures])) for key in SHOWN if key in figures[0]}
