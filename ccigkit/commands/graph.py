"""The command graph: learn, resample, judge and show a causal graph."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import comb
from pathlib import Path
from typing import Literal, get_args

import torch
from rich.console import Console

from ccigkit.causal.attributes import Table
from ccigkit.causal.edges import written_pair
from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.causal.model import CausalModel
from ccigkit.causal.regimes import left_alone, natural
from ccigkit.causal.strengths import fit_strengths
from ccigkit.causal.structure import Structure
from ccigkit.commands.config import Config
from ccigkit.component.options import options_of
from ccigkit.data.base import DataModule
from ccigkit.data.files.columns import describe_kinds, is_table, read_table
from ccigkit.errors import ConfigError, DataError, one_of
from ccigkit.files import write_text
from ccigkit.model.files import load_model, save_model
from ccigkit.model.readings import can_read, readings
from ccigkit.show.drawings import save_graph
from ccigkit.show.progress import counting
from ccigkit.show.tables import (
    comparison_table,
    describe_graph,
    describe_sortability,
    describe_verdict,
    frequency_table,
    say_notes,
)
from ccigkit.show.terminal import plain, say
from ccigkit.structure.assess.bootstrap import Bootstrap, bootstrap
from ccigkit.structure.assess.compare import Comparison, Distances, adjustment_distances, compare
from ccigkit.structure.assess.falsify import falsify, looked_at, test_of
from ccigkit.structure.assess.hidden import suspected
from ccigkit.structure.assess.sortability import r2_sortability, varsortability
from ccigkit.structure.base import StructureLearner
from ccigkit.structure.learned import Learned
from ccigkit.structure.readings import directed
from ccigkit.training.devices import choose_device

FEW = 10  # attributes, of which all may well be joined
MANY = 200  # attributes, of which one may wait for a graph
Source = Literal["labels", "readings", "both"]
ALL_ROWS, CONSENSUS = "the graph of all rows", "the consensus of resamples"


def learn_graph(config: Config, table: Table, known: Knowledge, read: Table | None = None) -> Learned:
    """Learn the graph of a table with the configured learner; its strengths are effects on the latent scale.

    Where `read` has degrees of the table's labels, these decide the directions.
    """
    knowledge = config.knowledge.added_to(known, table.names)
    learner: StructureLearner = config["structure"].build({"names": table.names})
    if len(table.names) > MANY:
        warnings.warn(
            f"{len(table.names)} attributes: {learner.name} may take minutes, or hours, as its time grows with their "
            "cube or faster; data.attributes=[...] takes fewer, and --structure auto is among the quickest",
            stacklevel=2,
        )
    start = time.perf_counter()
    found = learner.explained(learner.learnable(table), knowledge)
    if read is not None:
        found = directed(replace(found, evidence={}), read.latents, knowledge)
    hidden = found.confounded | knowledge.confounded
    graph = replace(found, strengths=fit_strengths(table, found.adjacency), confounded=hidden)
    doubts = [] if learner.finds_hidden else suspicions(graph, table, knowledge)
    said = (*unlearned(learner, table), *crowded(graph, learner), *cautions(graph), *doubts)
    graph = replace(graph, notes=(*graph.notes, *said))
    return Learned(graph, learner, time.perf_counter() - start, knowledge)


def unlearned(learner: StructureLearner, table: Table) -> list[str]:
    """A note on rows in which something was set and that the learner cannot use, or that teach it nothing."""
    if table.intervened is None:
        return []
    rows, size = natural(table), len(table.names)
    if not learner.uses_interventions:
        kept = f"learned from the {rows.sum()} of {len(rows)} rows in which nothing was set"
        return [f"{kept}, as {learner.name} cannot use the others; auto and boss can"]
    left = {table.names[j]: len(some.values) for some, attributes in left_alone(table) for j in attributes}
    return [
        f"{name} was set in all rows but {count}: too few to say what causes it"
        for name, count in left.items()
        if count <= size
    ]


def crowded(graph: CausalGraph, learner: StructureLearner) -> list[str]:
    """A note where most pairs of ten attributes or more are joined, so that nothing tells what causes what."""
    pairs = comb(len(graph.names), 2)
    if len(graph.names) < FEW or len(graph.edges) <= pairs / 2:
        return []
    weaker = "structure.least=0.1" if "least" in options_of(type(learner)) else "--structure auto structure.least=0.1"
    return [
        f"{len(graph.edges)} of {pairs} pairs are joined, which tells little of what causes what: say what is known "
        f"(knowledge.tiers=[...], or knowledge.named=... for a table that has it), or leave weak edges out ({weaker})"
    ]


def cautions(graph: CausalGraph) -> list[str]:
    """A note for each pair with a hidden common cause of which one causes the other by way of others, too.

    The mechanisms along that way are fitted one by one, as if nothing hidden went in at one end and came out at the
    other.
    """
    ways = [(a, b) for pair in graph.pairs for a, b in (pair, pair[::-1]) if b in graph.descendants(a)]
    return [
        f"{a} <-> {b}, and {a} causes {b} by way of others: that effect is fitted as if nothing were hidden"
        for a, b in ways
    ]


def suspicions(graph: CausalGraph, table: Table, knowledge: Knowledge) -> list[str]:
    """A note for each pair with an arrow, required by nobody, that looks as if something hidden caused both.

    Of many rows 50,000 are looked at, and only those in which nothing was set. Of attributes that follow from each
    other nothing can be said.
    """
    try:
        pairs = suspected(graph, test_of(looked_at(table)))
    except DataError:
        return []
    required = {frozenset(edge) for edge in knowledge.required}
    return [
        f"{x} and {y} go together as if something hidden caused both (each is a collider beside the other, which no "
        "graph without a hidden cause has): --structure fci looks for that, or say "
        f"knowledge.confounded=[{written_pair(x, y, graph.names)}]"
        for x, y in pairs
        if frozenset((x, y)) not in required
    ]


def table_among(words: Sequence[str]) -> str | None:
    """The word of a command line that is a table: a file, even with an = in its name, or what ends like one.

    Raises:
        ConfigError: where it is a file, but none that ends like a table.
    """
    for word in words:
        there = os.path.isfile(word)  # noqa: PTH113  Path's own raises where a word is too long for a name
        if there and not is_table(Path(word)):
            raise ConfigError(
                f"{word} does not end like a table: .csv, .tsv or .parquet, or one of these and .gz; "
                "rename it, or export it as .csv"
            )
        if there or (is_table(Path(word)) and "=" not in word):
            return word
    return None


@dataclass(frozen=True)
class GraphRequest:
    """What to learn a graph of, and what to make of it."""

    path: Path | None = None  # a bare table; else the configured data set
    out: Sequence[Path] = ()  # where to write it: .toml, .png, .svg
    truth: Path | None = None  # the true graph, where it is not the data set's own
    samples: int = 0  # resamples to learn from, too
    workers: int = 0  # processes that do so; 0 for one per core
    fit: Path | None = None  # a folder for the causal model along the graph
    check: bool = False  # whether to ask what the table contradicts
    run: Path | None = None  # a run whose data set it is, and whose model reads
    source: Source | None = None  # what of that run to learn from; None for the best there is


def show_graph(config: Config, request: GraphRequest, console: Console) -> None:
    """Learn and show the graph of a data set's attributes, or of a table in a file, without any images.

    Of a table the data set `table` says which columns to take and of what kind they are. Of a run, what its model reads
    off its images stands beside the labels. It is compared with the true
    graph, where there is one. With `samples` it is learned again from as many resamples, and what is written is their
    consensus. With `check` that is held to the table. With `fit` the mechanisms along it are fitted, and the causal
    model kept.
    """
    if bad := [str(file) for file in request.out if file.suffix.lower() not in (".toml", ".png", ".svg")]:
        raise ConfigError(f"--out {bad[0]}: a graph is written as .toml, .png or .svg")
    if request.fit and (request.fit / "config.toml").exists():
        raise ConfigError(f"--fit {request.fit}: that folder holds a run; choose another")
    table, known = table_of(config, request, console)
    table, read = read_by(config, request, table, console)
    torch.manual_seed(config.train.seed)
    with console.status(f"learning the graph of {len(table.values)} rows, {len(table.names)} attributes"):
        learned = learn_graph(config, table, known, read)
    describe_graph(console, learned, table.truth)
    graphs, title, remarks, shares = {ALL_ROWS: learned.graph}, f"learned by {learned.learner.name}", None, None
    if request.samples:
        resampled = resample_graph(config, request, table, learned, console)
        sure = {edge: learned.graph.evidence[edge] for edge in resampled.graph.edges if edge in learned.graph.evidence}
        graphs[CONSENSUS] = replace(resampled.graph, evidence=sure)
        remarks, shares = resampled.remarks(), resampled.arrows
        title += f": how often in {resampled.samples} resamples"
    elif learned.graph.evidence:
        title += ": nats lost if turned"
    judge_graphs(graphs, table, console)
    graph = graphs.get(CONSENSUS, learned.graph)
    if request.check:
        with console.status("testing what the graph claims"):
            verdict = falsify(graph, table, learned.knowledge, seed=config.train.seed)
        describe_verdict(console, verdict)
    for file in request.out:
        if file.suffix.lower() == ".toml":
            write_text(file, graph.to_toml(remarks))
        else:
            save_graph(graph, file, title, shares)
        say(console, f"wrote {file}")
    if request.fit:
        with console.status("fitting the mechanisms"):
            fit_model(config, table, graph, request.fit)
        say(console, f"wrote the causal model {request.fit}: ask it with ccigkit sample")


def table_of(config: Config, request: GraphRequest, console: Console) -> tuple[Table, Knowledge]:
    """The table that a graph is asked of, with its true graph where there is one, and what is known of it."""
    if request.path is not None:
        options = config["data"].options
        given = (options[name] for name in ("attributes", "kinds", "missing", "interventions"))
        table = read_table(request.path, *given)
        known = Knowledge()
        say(console, f"{request.path}: {len(table.values)} rows; {describe_kinds(table.attributes)}")
    else:
        data: DataModule = config["data"].build({})
        table, known = data.table(), data.knowledge
    if request.truth is not None:
        table = replace(table, truth=CausalGraph.from_toml(request.truth).reordered(table.names))
    return table, known


def read_by(config: Config, request: GraphRequest, table: Table, console: Console) -> tuple[Table, Table | None]:
    """The table to learn from, and what a run's model reads beside it, as the request wants.

    Raises:
        ConfigError: where there is nothing to read, and where resamples are wanted of labels and readings both.
    """
    if request.run is None or request.source == "labels":
        return table, None
    model = load_model(request.run, choose_device(config.train.device))
    if request.source is None and not can_read(model):
        say(console, "no labels that the model could read: learned from the table alone")
        return table, None
    if request.samples and request.source != "readings":
        raise ConfigError("--bootstrap learns from one table: give --from labels or --from readings with it")
    with console.status(f"reading {len(table.values)} images"):
        read = readings(model, config["data"].build({}), table)
    return (read, None) if request.source == "readings" else (table, read)


def source_of(word: str | None, run: str | None) -> Source | None:
    """What of a run to learn from, as --from says it.

    Raises:
        ConfigError: where that is nothing to learn from, or there is no run.
    """
    if word is not None and run is None:
        raise ConfigError(f"--from {word} says what of a run to learn from: name the folder of one")
    match word:
        case None | "labels" | "readings" | "both":
            return word
    raise ConfigError(one_of("--from", word, get_args(Source)))


def run_among(words: Sequence[str]) -> str | None:
    """The word of a command line that is the folder of a run.

    Raises:
        ConfigError: where it is a folder, but none that holds a run.
    """
    for word in words:
        if os.path.isdir(word):  # noqa: PTH112  as in `table_among`
            if not (Path(word) / "config.toml").is_file():
                raise ConfigError(f"{word} holds no run (no config.toml); train one with ccigkit train --run")
            return word
    return None


def fit_model(config: Config, table: Table, graph: CausalGraph, folder: Path) -> CausalModel:
    """Fit the configured SCM along a graph to a table, and keep the causal model in a folder."""
    scm = config["scm"].build({"size": len(table.names)})
    model = CausalModel(table.attributes, Structure(graph), scm).fit(table, seed=config.train.seed)
    save_model(model, folder, config.tables)
    write_text(folder / "graph.toml", model.graph.to_toml())
    return model


def resample_graph(
    config: Config, request: GraphRequest, table: Table, learned: Learned, console: Console
) -> Bootstrap:
    """Learn the graph again from resamples of the table, and show how often they give each edge."""
    with counting(console, "learning from resamples", request.samples) as advance:
        resampled = bootstrap(
            learned.learner,
            table,
            replace(learned.knowledge, confounded=learned.graph.confounded),
            samples=request.samples,
            seed=config.train.seed,
            workers=request.workers,
            on_done=advance,
        )
    console.print(frequency_table(resampled, learned.graph))
    say_notes(console, resampled.graph)
    return resampled


def judge_graphs(graphs: Mapping[str, CausalGraph], table: Table, console: Console) -> None:
    """Compare graphs by name with the truth, if there is one, and say how much of the order the data's scale gives."""
    if table.truth is not None:
        console.print(comparison_table({name: against(found, table.truth) for name, found in graphs.items()}))
        if find_spec("gadjid") is None:
            say(console, plain("SID and ancestor distance: pip install 'ccigkit[metrics]'", "dim"))
    whose, graph = (ALL_ROWS, graphs[ALL_ROWS]) if table.truth is None else ("the true graph", table.truth)
    variance, r2 = varsortability(table.values, graph.adjacency), r2_sortability(table.latents, graph.adjacency)
    describe_sortability(console, variance, r2, whose)


def against(graph: CausalGraph, truth: CausalGraph) -> tuple[Comparison, Distances | None]:
    """A graph against the truth, edge by edge, and by its effects where gadjid is installed."""
    return compare(graph, truth), adjustment_distances(graph, truth) if find_spec("gadjid") else None
