"""One straight function per command: from a configuration or a run to what it asks for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast, get_args

import torch
from rich.console import Console

from ccigkit.attributes import Table
from ccigkit.components import build, registry
from ccigkit.config import BACKBONE, Config
from ccigkit.data.columns import read_table, told
from ccigkit.errors import ConfigError
from ccigkit.files import cache_folder, write_json, write_text
from ccigkit.graph import CausalGraph, Knowledge
from ccigkit.images import save_graph
from ccigkit.interfaces import (
    DataModule,
    Encoder,
    Generator,
    JointStructure,
    JointStructureLearner,
    Objective,
    SplitName,
    Structure,
    StructureLearner,
)
from ccigkit.metrics.predictor import held_out_scores, predictor
from ccigkit.model import CausalImageModel, save_model
from ccigkit.report import (
    attribute_table,
    comparison_table,
    counting,
    describe_graph,
    describe_sortability,
    facts_table,
    frequency_table,
    interventions_picture,
    progress,
    rows_table,
    sample_picture,
    summary,
)
from ccigkit.run import Run
from ccigkit.sheet import save_sheet
from ccigkit.structure.bootstrap import Bootstrap, bootstrap
from ccigkit.structure.common import fit_strengths
from ccigkit.structure.compare import Comparison, Distances, adjustment_distances, compare
from ccigkit.structure.sortability import r2_sortability, varsortability
from ccigkit.training import (
    Training,
    batches,
    choose_device,
    choose_dtype,
    interrupts,
    keep_memory,
)

ALL_ROWS, CONSENSUS = "the graph of all rows", "the consensus of resamples"


@dataclass(frozen=True)
class Learned:
    """A learned graph, the learner that found it, and how long it took."""

    graph: CausalGraph
    learner: StructureLearner
    seconds: float


# --- graph ------------------------------------------------------------------------------------------------------------


def learn_graph(config: Config, table: Table, known: Knowledge) -> Learned:
    """Learn the graph of a table with the configured learner; its strengths are effects on the latent scale."""
    knowledge = config.knowledge.added_to(known)
    learner: StructureLearner = build("structure", config.tables["structure"], {"names": table.names})
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
        data: DataModule = build("data", config.tables["data"], {})
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
    with counting(console, "learning from resamples", samples) as tell:
        resampled = bootstrap(
            learned.learner,
            table,
            knowledge,
            samples=samples,
            seed=config.train.seed,
            workers=workers,
            tell=tell,
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


# --- train ------------------------------------------------------------------------------------------------------------


def train(config: Config, folder: Path, console: Console) -> CausalImageModel:
    """Train a model, or go on training it, in a run directory.

    An interrupt from the keyboard lets the step end, saves a checkpoint and is raised again.
    """
    check_schedule(config)
    settings = config.train
    device = choose_device(settings.device)
    if device.type == "cpu":
        keep_memory()
    torch.manual_seed(settings.seed)
    data: DataModule = build("data", config.tables["data"], {})
    table = data.table()
    run = Run(folder)
    with run.open(config):
        console.print(f"[bold]{folder}[/bold]: {config.tables['data']['name']}, {len(table.values)} images, {device}")
        return _train(config, run, data, table, device, console)


def _train(
    config: Config, run: Run, data: DataModule, table: Table, device: torch.device, console: Console
) -> CausalImageModel:
    settings = config.train
    state = run.load_checkpoint()

    with torch.random.fork_rng(devices=[]):  # so that how a learner draws does not change what the networks draw
        learned = recall_graph(config, run, table) if state else learn_graph(config, table, data.knowledge)
    describe_graph(console, learned, data.truth, config.knowledge.added_to(data.knowledge))
    if not state:
        write_text(run.folder / "graph.toml", learned.graph.to_toml())
        save_graph(learned.graph, run.folder / "graph.png", f"learned by {learned.learner.name}")

    model, objective = assemble(config, data, table, learned, device)
    training = Training(
        objective,
        steps=settings.steps,
        ema=settings.ema,
        device=device,
        dtype=choose_dtype(settings.precision, device),
    )
    if state:
        training.load(state)
        console.print(f"going on from step {training.step_number}")
    else:
        objective.begin()
    run.rewind_log(training.step_number)
    _play(training, config, run, data, table, model, console)
    finished = export(training, model)
    save_model(finished, run.folder, components(config))
    write_text(run.folder / "graph.toml", finished.graph.to_toml())
    save_graph(finished.graph, run.folder / "graph.png", f"{learned.learner.name}, after training with the images")
    interventions_picture(finished, data, run.folder / "interventions.png")
    facts = summary(finished, config, run, data.truth)
    write_json(run.folder / "metrics.json", facts)
    console.print(facts_table(facts, "What was learned"))
    console.print(f"pictures: interventions.png, graph.png and samples/ in {run.folder}", highlight=False)
    return finished


def recall_graph(config: Config, run: Run, table: Table) -> Learned:
    """The graph that a run was begun with, and its learner (whose state, if any, is in the checkpoint)."""
    learner = build("structure", config.tables["structure"], {"names": table.names})
    return Learned(CausalGraph.from_toml(run.folder / "graph.toml"), learner, 0.0)


def assemble(
    config: Config, data: DataModule, table: Table, learned: Learned, device: torch.device
) -> tuple[CausalImageModel, Objective]:
    """Model and objective of a configuration, on a device."""
    d = len(table.names)
    latent_size = config.train.latent or max(16, 2 * d)
    if latent_size < d:
        raise ConfigError(f"train.latent={latent_size} is smaller than the number of attributes, {d}")
    wiring: dict[str, Any] = {"size": d, "image_shape": data.image_shape, "latent_size": latent_size}
    parts = {kind: build(kind, config.tables[kind], wiring) for kind in ("scm", *BACKBONE)}
    structure = choose_structure(config.train.schedule, learned)
    discriminator = parts.pop("discriminator").to(device, memory_format=torch.channels_last)
    model = CausalImageModel(
        table.attributes, structure, **parts, image_shape=data.image_shape, latent_size=latent_size, frame=data.frame
    ).to(device)
    latents = torch.as_tensor(table.latents).float().to(device)
    wiring |= {"model": model, "discriminator": discriminator, "latents": latents}
    objective: Objective = build("objective", config.tables["objective"], wiring)
    return model, objective


def check_schedule(config: Config) -> None:
    """Nothing, where the structure learner can do what the schedule wants.

    Raises:
        ConfigError: where the schedule is joint and the learner gives a fixed graph.
    """
    name = config.tables["structure"]["name"]
    able = [c.name for c in registry() if issubclass(c, JointStructureLearner)]
    if config.train.schedule == "joint" and name not in able:
        raise ConfigError(
            f"train.schedule=joint needs a structure learner that can go on learning ({', '.join(able)}); "
            f"{name} gives a fixed graph, so use finetune or freeze"
        )


def choose_structure(schedule: str, learned: Learned) -> Structure | JointStructure:
    """The structure that a schedule trains: settled, weights only, or the whole graph."""
    if schedule == "joint" and isinstance(learned.learner, JointStructureLearner):
        return JointStructure(learned.learner)
    return Structure(learned.graph, learns=schedule == "finetune")


def _play(
    training: Training,
    config: Config,
    run: Run,
    data: DataModule,
    table: Table,
    model: CausalImageModel,
    console: Console,
) -> None:
    """Play the steps that are left, with progress, pictures, log and checkpoints."""
    settings = config.train
    if training.step_number >= settings.steps:
        return
    latents = torch.as_tensor(table.latents).float().to(training.device)
    saved = said = time.monotonic()
    images, told = 0, training.step_number
    with progress(console, settings.steps, training.step_number) as tell, interrupts() as interrupted:
        ahead = range(training.step_number, settings.steps)
        for batch in batches(data, latents, settings.batch, ahead, settings.seed):
            terms = training.step(batch)
            step, now = training.step_number, time.monotonic()
            images += settings.batch
            if step == told + 1 or now - said > 2 or step == settings.steps:
                speed = images / max(now - said, 1e-9)
                tell(step, terms, speed)
                run.append_log({"step": step, "images_per_second": round(speed, 1), **terms})
                images, said = 0, now
            if settings.sample_every and step % settings.sample_every == 0:
                sample_picture(export(training, model), run.samples / f"{step:06d}.png", data)
            if now - saved > settings.checkpoint_every and step < settings.steps:
                _save(training, config, run, model)
                saved = now
            if interrupted():
                console.print(f"stopping: saving step {training.step_number}; the same command goes on from there")
                _save(training, config, run, model)
                raise KeyboardInterrupt
    _save(training, config, run, model)


def _save(training: Training, config: Config, run: Run, model: CausalImageModel) -> None:
    run.save_checkpoint(training.state())
    save_model(export(training, model), run.folder, components(config))


def export(training: Training, model: CausalImageModel) -> CausalImageModel:
    """The model as it stands, to use: averaged encoder and generator, and a settled DAG for a structure."""
    return CausalImageModel(
        model.attributes,
        Structure(model.graph).to(training.device),
        model.scm,
        cast(Encoder, training.averaged("encoder")),
        cast(Generator, training.averaged("generator")),
        image_shape=model.image_shape,
        latent_size=model.latent_size,
        frame=model.frame,
    )


def components(config: Config) -> dict[str, Mapping[str, Any]]:
    """What `load_model` needs to build the parts again."""
    return {kind: config.tables[kind] for kind in ("scm", "encoder", "generator")}


# --- predictor --------------------------------------------------------------------------------------------------------


def train_predictor(config: Config, steps: int, seed: int, console: Console) -> None:
    """Train the attribute predictor that metrics read pictures with, unless it is kept already, and show its scores."""
    data: DataModule = build("data", config.tables["data"], {})
    table, test = data.table(), data.load("test")
    console.print(f"[bold]{data.name}[/bold]: a predictor of {len(table.names)} attributes, {len(table.values)} images")
    began, done = time.monotonic(), 0
    with counting(console, "training", steps) as advance:

        def step_done() -> None:
            nonlocal done
            done += 1
            advance()

        read = predictor(data, seed=seed, steps=steps, step_done=step_done)
    how = f"trained in {time.monotonic() - began:.0f} s, and kept" if done else "kept from before"
    console.print(f"{how}: predictors/{read.fingerprint} in {cache_folder()}", highlight=False, soft_wrap=True)
    console.print(rows_table(held_out_scores(read, test), f"how well it reads {len(test)} test images of {data.name}"))


# --- data -------------------------------------------------------------------------------------------------------------


def preview_data(config: Config, out: Path, console: Console) -> None:
    """Write a page that shows a data set, and print its attributes."""
    data: DataModule = build("data", config.tables["data"], {})
    save_sheet(data, out)
    console.print(attribute_table(data))
    console.print(f"wrote {out}", highlight=False)


def prepare_data(config: Config, console: Console) -> None:
    """Decode or draw a data set once, so that training waits for nothing."""
    data: DataModule = build("data", config.tables["data"], {})
    for split in get_args(SplitName):
        images = data.load(split).images
        console.print(f"{split}: {len(images)} images of {list(images.shape[1:])}", highlight=False)
