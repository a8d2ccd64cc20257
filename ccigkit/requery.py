"""The cost of a wrong graph: the same trained parts, asked under other graphs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import torch

from ccigkit.attributes import Table
from ccigkit.errors import DataError
from ccigkit.evaluation import Evaluation, Options, evaluate
from ccigkit.graph import CausalGraph, find_cycle
from ccigkit.interfaces import SCM, DataModule, RenderedData, Row, Structure
from ccigkit.metrics.answers import device_of
from ccigkit.metrics.graph import against, random_graph
from ccigkit.model import CausalImageModel
from ccigkit.objectives.terms import fit_mechanisms
from ccigkit.structure.common import fit_strengths

METRICS = ("truth", "interventional")
FEWER: Options = {"truth": {"n": 500}, "interventional": {"n": 100}}  # a dozen graphs are asked, so less of each
DRAWN = 3  # random graphs, and reversed edges: each row of these is a mean
CONTROLS = ("identity", "resample", "oracle")
SHOWN = ("mmd", "energy", "tvd", "l1", "changed", "skill", "attributes")


def requery(
    model: CausalImageModel,
    data: DataModule,
    scm: Callable[[], SCM],
    *,
    options: Options | None = None,
    seed: int = 0,
    tell: Callable[[str], None] = lambda name: None,
) -> list[Row]:
    """Ask a model what it would answer under other graphs, its encoder and its generator as they are.

    Under each graph the mechanisms of a new SCM are fitted to the training table; `as trained` are the model's own. A
    row has how far the graph is from the true one, and the means over all do() of what `truth` and `interventional`
    measure. `tell` hears which graph comes next.

    Raises:
        DataError: where the truth is not known.
    """
    if not isinstance(data, RenderedData):
        raise DataError(f"graphs needs data with a known truth (pendulum, faces), and {data.name} has none")
    table, chosen = data.table(), {**FEWER, **(options or {})}

    def ask(asked: CausalImageModel) -> Evaluation:
        return evaluate(asked, data, metrics=METRICS, options=chosen)

    tell("as trained")
    own = ask(model)
    rows: list[Row] = [
        {"do": "every one", "row": "as trained", **distances(model.graph, data.truth), **means(own, "model")}
    ]
    for name, graphs in alternatives(model.graph, data.truth, seed):
        found = []
        for graph in graphs:
            tell(name)
            answers = ask(under(model, refitted(graph, table), scm, table, seed))
            found.append({**distances(graph, data.truth), **means(answers, "model")})
        if found:
            rows.append({"do": "every one", "row": name, **averaged(found)})
    return rows + [{"do": "every one", "row": who, **means(own, who)} for who in CONTROLS]


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
            yield CausalGraph(graph.names, strengths)


def refitted(graph: CausalGraph, table: Table) -> CausalGraph:
    """The graph with the strengths that the training table gives its edges."""
    return CausalGraph(graph.names, fit_strengths(table, graph.adjacency))


def under(
    model: CausalImageModel, graph: CausalGraph, scm: Callable[[], SCM], table: Table, seed: int
) -> CausalImageModel:
    """The model under another graph, with mechanisms fitted to the training table."""
    device = device_of(model)
    structure = Structure(graph).to(device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        mechanisms = scm().to(device)
        fit_mechanisms(mechanisms, structure, torch.as_tensor(table.latents).float().to(device))
    return CausalImageModel(
        model.attributes,
        structure,
        mechanisms.eval().requires_grad_(False),
        model.encoder,
        model.generator,
        image_shape=model.image_shape,
        latent_size=model.latent_size,
        frame=model.frame,
    ).train(model.training)


def distances(graph: CausalGraph, truth: CausalGraph) -> dict[str, float]:
    """How far a graph is from the true one: SHD, and SID where gadjid is installed."""
    return {key: value for key, value in against(graph, truth).items() if key in ("shd", "sid")}


def means(found: Evaluation, who: str) -> dict[str, float]:
    """The means over all do() of what one row's figures are."""
    figures: dict[str, list[float]] = defaultdict(list)
    for row in found.rows:
        for key in SHOWN if row["row"] == who else ():
            if isinstance(value := row.get(key), float):
                figures[key].append(value)
    return {key: float(np.nanmean(figures[key])) for key in SHOWN if key in figures}


def averaged(found: list[dict[str, float]]) -> dict[str, float]:
    """The means of several graphs' figures."""
    return {key: float(np.mean([one[key] for one in found])) for key in found[0]}
