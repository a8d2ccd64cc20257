"""The command train: from a configuration to a model in a run directory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from rich.console import Console

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph
from ccigkit.causal.structure import Structure
from ccigkit.commands.config import Config
from ccigkit.commands.graph import learn_graph
from ccigkit.commands.run import Run
from ccigkit.commands.summary import summary
from ccigkit.component.registry import registry
from ccigkit.data.base import DataModule
from ccigkit.errors import ConfigError
from ccigkit.files import write_json, write_text
from ccigkit.image.base import Encoder, Generator
from ccigkit.model.files import save_model
from ccigkit.model.model import CausalImageModel
from ccigkit.objectives.base import Objective
from ccigkit.show.images import save_graph
from ccigkit.show.pictures import interventions_picture, sample_picture
from ccigkit.show.progress import progress
from ccigkit.show.tables import (
    describe_graph,
    facts_table,
)
from ccigkit.structure.base import JointStructureLearner
from ccigkit.structure.joint import JointStructure
from ccigkit.structure.learned import Learned
from ccigkit.training.batches import batches
from ccigkit.training.devices import choose_device, choose_dtype, keep_memory
from ccigkit.training.loop import Training, interrupts


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
    data: DataModule = config["data"].build({})
    table = data.table()
    run = Run(folder)
    with run.open(config):
        console.print(f"[bold]{folder}[/bold]: {config['data'].name}, {len(table.values)} images, {device}")
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
    learner = config["structure"].build({"names": table.names})
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
    parts = {kind: config[kind].build(wiring) for kind in ("scm", "encoder", "generator", "discriminator")}
    structure = choose_structure(config.train.schedule, learned)
    discriminator = parts.pop("discriminator").to(device, memory_format=torch.channels_last)
    model = CausalImageModel(
        table.attributes, structure, **parts, image_shape=data.image_shape, latent_size=latent_size, frame=data.frame
    ).to(device)
    latents = torch.as_tensor(table.latents).float().to(device)
    wiring |= {"model": model, "discriminator": discriminator, "latents": latents}
    objective: Objective = config["objective"].build(wiring)
    return model, objective


def check_schedule(config: Config) -> None:
    """Nothing, where the structure learner can do what the schedule wants.

    Raises:
        ConfigError: where the schedule is joint and the learner gives a fixed graph.
    """
    name = config["structure"].name
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
