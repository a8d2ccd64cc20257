"""The command graph: learn, resample, judge and show a causal graph."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch
from rich.console import Console

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.causal.strengths import fit_strengths
from ccigkit.commands.config import Config
from ccigkit.data.base import DataModule
from ccigkit.data.files.columns import read_table, told
from ccigkit.errors import ConfigError
from ccigkit.files import write_text
from ccigkit.show.images import save_graph
from ccigkit.show.progress import counting
from ccigkit.show.tables import (
    comparison_table,
    describe_graph,
    describe_sortability,
    frequency_table,
)
from ccigkit.structure.assess.bootstrap import Bootstrap, bootstrap
from ccigkit.structure.assess.compare import Comparison, Distances, adjustment_distances, compare
from ccigkit.structure.assess.sortability import r2_sortability, varsortability
from ccigkit.structure.base import StructureLearner
from ccigkit.structure.learned import Learned

ALL_ROWS, CONSENSUS = "the graph of all rows", "the consensus of resamples"


def learn_graph(config: Config, table: Table, known: Knowledge) -> Learned:
    """Learn the graph of a table with the configured learner; its strengths are effects on the latent scale."""
    knowledge = config.knowledge.added_to(known)
    learner: StructureLearner = config["structure"].build({"names": table.names})
    start = time.perf_counter()
    found = learner.learn(table, knowledge)
    graph = CausalGraph(found.names, fit_strengths(table, found.adjacency), found.notes)
    return Learned(graph, learner, time.perf_counter() - start)


def show_graph(
    config: Config,
    path: Path | None,
    out: Sequence[Path],
    console: Console,
    *,
    truth: Path | None = None,
    samples: int = 0,
    workers: int = 0,
) -> None:
    """Learn and show the graph of a data set's attributes, or of a table in a file, without any images.

    Of a table the data set `table` says which columns to take and of what kind they are.

    It is compared with the true graph, in the file `truth` or the data set's own, where there is one. With `samples` it
    is learned again from as many resamples, and what is written is their consensus.
    """
    if bad := [str(file) for file in out if file.suffix not in (".toml", ".png")]:
        raise ConfigError(f"--out {bad[0]}: a graph is written as .toml or .png")
    if path is not None:
        choice = config.tables["data"]
        table, known = read_table(path, choice["attributes"], choice["kinds"]), Knowledge()
        console.print(f"{path}: {len(table.values)} rows; {told(table.attributes)}", highlight=False, markup=False)
    else:
        data: DataModule = config["data"].build({})
        table, known = data.table(), data.knowledge
    if truth is not None:
        table = replace(table, truth=CausalGraph.from_toml(truth).reordered(table.names))
    torch.manual_seed(config.train.seed)
    with console.status(f"learning the graph of {len(table.values)} rows, {len(table.names)} attributes"):
        learned = learn_graph(config, table, known)
    knowledge = config.knowledge.added_to(known)
    describe_graph(console, learned, table.truth, knowledge)
    graphs, title, remarks, shares = {ALL_ROWS: learned.graph}, f"learned by {learned.learner.name}", None, None
    if samples:
        resampled = resample_graph(config, table, knowledge, learned, console, samples, workers)
        graphs[CONSENSUS], remarks, shares = resampled.graph, resampled.remarks(), resampled.arrows
        title += f": how often in {resampled.samples} resamples"
    judge_graphs(graphs, table, console)
    graph = graphs.get(CONSENSUS, learned.graph)
    for file in out:
        if file.suffix == ".toml":
            write_text(file, graph.to_toml(remarks))
        else:
            save_graph(graph, file, title, shares)
        console.print(f"wrote {file}", highlight=False)


def resample_graph(
    config: Config, table: Table, knowledge: Knowledge, learned: Learned, console: Console, samples: int, workers: int
) -> Bootstrap:
    """Learn the graph again from resamples of the table, and show how often they give each edge."""
    with counting(console, "learning from resamples", samples) as on_done:
        resampled = bootstrap(
            learned.learner,
            table,
            knowledge,
            samples=samples,
            seed=config.train.seed,
            workers=workers,
            on_done=on_done,
        )
    console.print(frequency_table(resampled, learned.graph))
    for note in resampled.graph.notes:
        console.print(f"[dim]note: {note}[/dim]")
    return resampled


def judge_graphs(graphs: Mapping[str, CausalGraph], table: Table, console: Console) -> None:
    """Compare graphs by name with the truth, if there is one, and say how much of the order the data's scale gives."""
    if table.truth is not None:
        console.print(comparison_table({name: against(found, table.truth) for name, found in graphs.items()}))
        if find_spec("gadjid") is None:
            console.print("SID and ancestor distance: pip install 'ccigkit[metrics]'", style="dim", markup=False)
    whose, graph = (ALL_ROWS, graphs[ALL_ROWS]) if table.truth is None else ("the true graph", table.truth)
    variance, r2 = varsortability(table.values, graph.adjacency), r2_sortability(table.latents, graph.adjacency)
    describe_sortability(console, variance, r2, whose)


def against(graph: CausalGraph, truth: CausalGraph) -> tuple[Comparison, Distances | None]:
    """A graph against the truth, edge by edge, and by its effects where gadjid is installed."""
    return compare(graph, truth), adjustment_distances(graph, truth) if find_spec("gadjid") else None
