"""The cost of a wrong graph: the same trained parts, asked under other graphs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, find_cycle
from ccigkit.causal.model import CausalModel, seeded
from ccigkit.causal.scm.base import SCM
from ccigkit.causal.strengths import fit_strengths
from ccigkit.causal.structure import Structure
from ccigkit.data.base import DataModule, RenderedData
from ccigkit.errors import DataError
from ccigkit.metrics.base import Row
from ccigkit.metrics.graph import against, random_graph
from ccigkit.metrics.interventional import Interventional, true_settings
from ccigkit.metrics.protocol.answers import AbductedByOurs, Do, device_of, respondents, sample
from ccigkit.metrics.protocol.counterfactual import Kept
from ccigkit.metrics.protocol.questions import ask
from ccigkit.metrics.readers.predictor import Pictures, look, predictor
from ccigkit.metrics.truth import Truth
from ccigkit.model.model import CausalImageModel

DRAWN = 3  # random graphs, and reversed edges: each row of these is a mean
CONTROLS = ("identity", "resample", "oracle")
SHOWN = ("shd", "sid", "mmd", "energy", "tvd", "l1", "changed", "skill", "attributes")

Figures = dict[str, float]
Who = tuple[str, int]  # the name of a row, and which of its graphs


def requery(
    model: CausalImageModel,
    data: DataModule,
    scm: Callable[[], SCM],
    truth: Truth,
    interventional: Interventional,
    *,
    seed: int = 0,
    tell: Callable[[str], None] = lambda what: None,
) -> list[Row]:
    """Ask a model what it would answer under other graphs, its encoder and its generator as they are.

    Under each graph the mechanisms of a new SCM are fitted to the training table; `as trained` are the model's own. A
    row has how far the graph is from the true one, and the means over all do() of what the two metrics measure: all
    graphs are put the same questions. `tell` hears what is done next.

    Raises:
        DataError: where the truth is not known.
    """
    if not isinstance(data, RenderedData) or data.load("test").noise is None:
        raise DataError(f"graphs needs data with a known truth (pendulum, faces), and {data.name} has none")
    table = data.table()
    models: dict[Who, CausalImageModel] = {("as trained", 0): model}
    for name, graphs in alternatives(model.graph, data.truth, seed):
        tell(f"mechanisms under the graph {name!r}")
        for number, graph in enumerate(graphs):
            models[name, number] = under(model, refitted(graph, table), scm, table, seed)
    tell(f"counterfactuals under {len(models)} graphs")
    wrong = errors(models, data, truth)
    tell(f"samples under {len(models)} graphs")
    off = distances(models, data, interventional)
    found: dict[str, list[Figures]] = defaultdict(list)
    for who in wrong:
        edges = far(models[who].graph, data.truth) if who in models else {}
        found[who[0]].append({**edges, **off[who], **wrong[who]})
    return [{"do": "every one", "row": name, **averaged(figures)} for name, figures in found.items()]


def errors(models: Mapping[Who, CausalImageModel], data: RenderedData, truth: Truth) -> dict[Who, Figures]:
    """How far everybody's counterfactuals are from the true ones, the controls' too."""
    model = models["as trained", 0]
    own = respondents(model, data)
    score = truth.scorer(model, data)
    kept: dict[Who, Kept] = defaultdict(Kept)
    for question in ask(model, data, truth.n, truth.seed):
        looked = AbductedByOurs(model, question.images, question.values)
        for who, asked in models.items():
            kept[who].add(score(question, Pictures(answer(asked, looked, question.do))))
        for control in CONTROLS:
            kept[control, 0].add(score(question, Pictures(own[control](question))))
    rows = {who: next(iter(truth.rows({("", who[0]): scores.joined()}, data))) for who, scores in kept.items()}
    return {who: {k: float(row[k]) for k in SHOWN if k in row} for who, row in rows.items()}


def answer(model: CausalImageModel, looked: AbductedByOurs, do: Do) -> torch.Tensor:
    """What a model makes of images [b, c, h, w] that the same encoder has looked at, under whatever graph.

    Of their codes u alone depends on the graph, and `predict` takes it anew from z.
    """
    return looked.detailed(model.predict(looked.codes, do, detail=False))


def distances(
    models: Mapping[Who, CausalImageModel], data: RenderedData, interventional: Interventional
) -> dict[Who, Figures]:
    """How far everybody's samples under each do() are from true ones, the mean over all, the controls' too."""
    n, seed = interventional.n, interventional.seed
    read = predictor(data, seed=seed, steps=interventional.predictor_steps)
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


def under(
    model: CausalImageModel, graph: CausalGraph, scm: Callable[[], SCM], table: Table, seed: int
) -> CausalImageModel:
    """The model under another graph, with mechanisms fitted to the training table."""
    device = device_of(model)
    with seeded(seed, device):
        causal = CausalModel(model.attributes, Structure(graph), scm()).to(device)
        causal.fit_mechanisms(torch.as_tensor(table.latents).float().to(device))
    causal.eval().requires_grad_(False)
    return CausalImageModel(causal, model.image, model.placement, frame=model.frame).train(model.training)


def far(graph: CausalGraph, truth: CausalGraph) -> Figures:
    """How far a graph is from the true one: SHD, and SID where gadjid is installed."""
    return {key: value for key, value in against(graph, truth).items() if key in SHOWN}


def averaged(figures: list[Figures]) -> Figures:
    """The means of figures, of those that could be measured."""
    return {key: float(np.nanmean([one[key] for one in figures])) for key in SHOWN if key in figures[0]}
