"""The command train: from a configuration to a model in a run directory."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph
from ccigkit.causal.inputs import Inputs
from ccigkit.causal.model import CausalModel
from ccigkit.causal.regimes import undisturbed
from ccigkit.causal.structure import Structure
from ccigkit.commands.config import Config
from ccigkit.commands.faults import Patience, explaining_faults
from ccigkit.commands.graph import learn_graph
from ccigkit.commands.run import Run
from ccigkit.commands.summary import summary
from ccigkit.component.registry import Assembly, registry
from ccigkit.data.base import DataModule
from ccigkit.errors import CheckpointError, ConfigError, DataError
from ccigkit.evaluation.watch import Watch
from ccigkit.files import expanded, write_json, write_text
from ccigkit.model.calibration import calibrations, fit_degrees
from ccigkit.model.files import save_model
from ccigkit.model.model import CausalImageModel
from ccigkit.model.readings import readings
from ccigkit.objectives.base import Objective
from ccigkit.show.drawings import save_graph
from ccigkit.show.pictures import interventions_picture, sample_picture
from ccigkit.show.progress import progress
from ccigkit.show.tables import describe_graph, facts_table, rows_table, say_notes
from ccigkit.show.terminal import plain, say
from ccigkit.show.training import training_picture
from ccigkit.structure.assess.falsify import in_a_line
from ccigkit.structure.base import JointStructureLearner
from ccigkit.structure.joint import JointStructure
from ccigkit.structure.kept import kept_graph, key_of
from ccigkit.structure.learned import Learned
from ccigkit.structure.readings import directed
from ccigkit.training.batches import batches
from ccigkit.training.best import Best
from ccigkit.training.checkpoints import State
from ccigkit.training.devices import choose_device, choose_dtype, keep_memory, made_with, seed_all
from ccigkit.training.fingerprint import changes, fingerprint
from ccigkit.training.interrupts import STOPPED, interrupts
from ccigkit.training.loop import DivergedError, Training
from ccigkit.training.processes import ALONE, LostError, Team, join, leave
from ccigkit.training.tracker import Tracker, tracking


@dataclass(frozen=True)
class Experiment:
    """One training: what is trained, on what, how far it is, and where it is kept."""

    config: Config
    run: Run
    data: DataModule
    table: Table
    learned: Learned
    model: CausalImageModel
    training: Training
    best: Best
    watch: Watch | None
    team: Team

    def export(self) -> CausalImageModel:
        """The model as it stands, to use: averaged networks, and a settled DAG for a structure."""
        model = self.model
        causal = CausalModel(model.attributes, Structure(model.graph).to(self.training.device), model.scm)
        parts = {kind: part for kind, part in model.image.parts().items() if registry().kinds[kind].saved}
        image = model.image.with_parts({**parts, **self.training.averaged()})
        return CausalImageModel(causal, image, model.placement, frame=model.frame)

    @cached_property
    def about(self) -> dict[str, Any]:
        """What a checkpoint has to be of, for training to go on from it; plain data."""
        return {
            "config": self.config.to_toml(),
            "graph": replace(self.learned.graph, evidence={}).to_toml(),
            "data": fingerprint(self.data, self.table),
            "made_with": made_with(self.training.device, self.training.dtype),
        }

    def save(self) -> None:
        """Keep the state of training, and the model as it stands; the first process does."""
        if not self.team.first:
            return
        improved = self.best.improved(self.training.step_number)
        state, model = self.training.state() | {"about": self.about, "best": self.best.state()}, self.export()
        self.run.checkpoints.save(state, self.config.train.checkpoints)
        save_model(model, self.run.folder, self.config.tables)
        if improved:
            best = Run(self.run.folder / "best")
            best.describe(self.config)
            best.checkpoints.save(state)
            save_model(model, best.folder, self.config.tables)


def train(config: Config, folder: Path, console: Console) -> CausalImageModel:
    """Train a model, or go on training it, in a run directory; alone, or with the processes that are to help.

    Ctrl-C lets the step end, saves a checkpoint and is raised again; so do SIGTERM, SIGHUP and SIGUSR1, which then exit
    with a code of their own.

    Args:
        config: what to train, and how.
        folder: the run directory.
        console: where to say what happens.
    """
    check_batch(config)
    team = join(config.train.processes, config.train.device)
    if team.first:
        model = train_with(team, config, Run(folder), console)
    else:
        try:
            model = train_with(team, config, Run(folder), Console(quiet=True))
        except (DivergedError, LostError, KeyboardInterrupt, SystemExit):  # which the first speaks of
            leave()
            raise SystemExit(0) from None
    leave()
    return model


def train_with(team: Team, config: Config, run: Run, console: Console) -> CausalImageModel:
    """Train as one of the processes of a team."""
    check_batch(config, team)
    trackers = tracker_classes(config)
    device = choose_device(config.train.device)
    if device.type == "cpu":
        keep_memory()
    seed_all(config.train.seed)
    with team.in_turn():  # so that one process decodes or draws, and the others find it done
        data: DataModule = config["data"].build({})
        table = data.table()
    check_schedule(config, table)
    with run.open(config) if team.first else nullcontext():
        together = f" by {team.count} processes" if team.count > 1 else ""
        say(console, plain(str(run.folder), "bold"), f": {data.name}, {len(table.values)} images, {device}{together}")
        experiment = begin(config, run, data, table, console, team)
        play(experiment, console, trackers if team.first else ())
        return finish(experiment, console) if team.first else experiment.export()


def begin(config: Config, run: Run, data: DataModule, table: Table, console: Console, team: Team) -> Experiment:
    """The experiment at its first step, or where its run was left."""
    device, settings = choose_device(config.train.device), config.train
    dtype = choose_dtype(settings.precision, device)
    with team.in_turn():  # the first sets aside what is damaged
        state = run.resume(config, lambda text: say(console, text)) if team.first else run.load_checkpoint()
    if state:
        check_same(state, data, table, made_with(device, dtype), run, console)
    if team.first:
        run.describe(config)
    learned = learn_or_recall(config, run, table, data, state, team)
    describe_graph(console, learned, data.truth)
    if team.first and not state:
        say(console, plain(in_a_line(learned.graph, table), "dim"))
        show_in_run(run, learned.graph, f"learned by {learned.learner.name}")
    model, objective = assemble(config, data, table, learned)
    training = Training(
        objective,
        steps=settings.steps,
        ema=settings.ema,
        device=device,
        dtype=dtype,
        accumulate=settings.accumulate,
        team=team,
    )
    if state:
        training.load(state)
        say(console, f"going on from step {training.step_number}")
    else:
        objective.begin()
    training.same()
    if team.first:
        run.rewind_log(training.step_number)
    watch = Watch(data, run.read_log()) if settings.watch_every and team.first else None
    best = Best(settings.best or (watch.best if watch else ""), (state or {}).get("best", {}))
    return Experiment(config, run, data, table, learned, model, training, best, watch, team)


def check_same(
    state: State, data: DataModule, table: Table, now: Mapping[str, str], run: Run, console: Console
) -> None:
    """Check that training goes on with the data that it began with; say what else is not as it was.

    Raises:
        CheckpointError: where the data changed, naming what did.
    """
    about = state.get("about")
    if about is None:  # of an older version
        return
    if changed := changes(about["data"], fingerprint(data, table)):
        raise CheckpointError(
            f"the data changed since step {state['step']} of {run.folder}: {'; '.join(changed)}; "
            "give them as they were, or choose another --run"
        )
    others = [
        f"{what} {then}, now {now.get(what)}" for what, then in about["made_with"].items() if then != now.get(what)
    ]
    if others:
        say(
            console, f"step {state['step']} was made with {'; '.join(others)}: numbers may round otherwise from here on"
        )


def finish(experiment: Experiment, console: Console) -> CausalImageModel:
    """Keep the finished model, with its pictures and figures."""
    run, model = experiment.run, experiment.export()
    fit_degrees(model, experiment.data, experiment.table)
    save_model(model, run.folder, experiment.config.tables)
    if experiment.watch:
        training_picture(run.read_log(), experiment.watch.measures, run.folder / "training.png")
    show_in_run(run, model.graph, f"{experiment.learned.learner.name}, after training with the images")
    interventions_picture(model, experiment.data, run.folder / "interventions.png")
    facts = summary(model, experiment.config, run, experiment.data.truth) | used(experiment)
    read = [asdict(one) for one in calibrations(model, experiment.data.load("test"))]
    write_json(run.folder / "metrics.json", facts | ({"calibration": read} if read else {}))
    console.print(facts_table(facts, "What was learned"))
    if read:
        console.print(rows_table(read, "Calibration error of labels, on test images", digits=3))
    say(console, f"pictures: interventions.png, graph.png and samples/ in {run.folder}")
    return model


def used(experiment: Experiment) -> dict[str, str]:
    """Which checkpoint the finished model is, and which was the best, if another."""
    best, last = experiment.best, experiment.training.step_number
    if not 0 < best.step < last:
        return {}
    return {"this model": f"step {last}, the last", f"least {best.term}": f"step {best.step}, kept in best"}


def show_in_run(run: Run, graph: CausalGraph, title: str) -> None:
    """Keep a graph in a run directory, as text and as a picture."""
    write_text(run.folder / "graph.toml", graph.to_toml())
    save_graph(graph, run.folder / "graph.png", title)


def learn_or_recall(
    config: Config, run: Run, table: Table, data: DataModule, state: State | None, team: Team
) -> Learned:
    """The graph that a run is begun with: the first process learns or reads it, and the others are told."""
    if team.first:
        with torch.random.fork_rng(devices=[]):  # so that how a learner draws does not change what the networks draw
            learned = recall_graph(config, run, table, data, state) if state else learn_once(config, table, data)
        team.told(learned.graph.to_toml())
        return learned
    learner = config["structure"].build({"names": table.names})
    knowledge = config.knowledge.added_to(data.knowledge, table.names)
    return Learned(CausalGraph.of_toml(team.told()), learner, 0.0, knowledge)


def learn_once(config: Config, table: Table, data: DataModule) -> Learned:
    """The graph of a table; where trainings share theirs (`train.graphs`), the first to need it learns it.

    A learner that goes on with the images learns by itself, as it needs its state too.
    """
    learner = config["structure"].build({"names": table.names})
    goes_on = config.train.schedule == "joint" and isinstance(learner, JointStructureLearner)
    if not config.train.graphs or goes_on:
        return learn_graph(config, table, data.knowledge)
    knowledge = config.knowledge.added_to(data.knowledge, table.names)
    plugins = [file.to_toml() for file in config.plugins]
    key = key_of({**config["structure"].table, "plugins": plugins}, table, knowledge)
    begun = time.perf_counter()
    graph = kept_graph(expanded(config.train.graphs), key, lambda: learn_graph(config, table, data.knowledge).graph)
    return Learned(graph, learner, time.perf_counter() - begun, knowledge)


def recall_graph(config: Config, run: Run, table: Table, data: DataModule, state: State) -> Learned:
    """The graph that a run was begun with, and its learner (whose state, if any, is in the checkpoint).

    The graph is in the checkpoint too; before, it was in its file alone.
    """
    learner = config["structure"].build({"names": table.names})
    knowledge = config.knowledge.added_to(data.knowledge, table.names)
    path = run.folder / "graph.toml"
    if "about" in state:
        write_text(path, state["about"]["graph"])
    return Learned(CausalGraph.from_toml(path), learner, 0.0, knowledge)


def assemble(config: Config, data: DataModule, table: Table, learned: Learned) -> tuple[CausalImageModel, Objective]:
    """Model and objective of a configuration, on its device."""
    d, device = len(table.names), choose_device(config.train.device)
    inputs = Inputs(table.attributes).size
    latent_size = config.train.latent or inputs + max(16 - d, d)
    if latent_size < inputs:
        what = "one each, an unordered category one for each choice"
        raise ConfigError(f"train.latent={latent_size} is smaller than the {inputs} that the attributes take: {what}")
    given: dict[str, Any] = {
        "size": d,
        "inputs": inputs,
        "image_shape": data.image_shape,
        "latent_size": latent_size,
    }
    parts = Assembly(config.choices, given)
    causal = CausalModel(table.attributes, choose_structure(config.train.schedule, learned), parts["scm"])
    model = CausalImageModel(causal, parts["image"], parts["placement"], frame=data.frame).to(device)
    parts["model"], parts["latents"] = model, torch.as_tensor(undisturbed(table).latents).float().to(device)
    return model, parts["objective"]


def tracker_classes(config: Config) -> list[type[Tracker]]:
    """The trackers that a configuration names.

    Raises:
        ConfigError: for an unknown one, or one whose library is not installed.
    """
    found = [registry().get(Tracker.kind, name) for name in config.train.track]
    trackers = [tracker for tracker in found if issubclass(tracker, Tracker)]
    for tracker in trackers:
        tracker.require()
    return trackers


def check_schedule(config: Config, table: Table) -> None:
    """Check that there is something to go on learning the graph from, where the schedule is joint.

    Raises:
        ConfigError: where the learner gives a fixed graph and the table has no labels that pictures could refine.
    """
    name = config["structure"].name
    able = [c.name for c in registry() if issubclass(c, JointStructureLearner)]
    if config.train.schedule == "joint" and name not in able and not any(a.labelled for a in table.attributes):
        raise ConfigError(
            f"train.schedule=joint needs a structure learner that can go on learning ({', '.join(able)}), or labels 0 "
            f"and 1 of which pictures show degrees; {name} gives a fixed graph, so use finetune or freeze"
        )


def check_batch(config: Config, team: Team = ALONE) -> None:
    """Check that every part of a batch has two images, and every process as many as the others.

    Raises:
        ConfigError: where a batch is too small for so many parts, or cannot be shared equally.
    """
    batch, parts = config.train.batch, config.train.accumulate
    processes = max(team.count, config.train.processes)
    if batch % processes:
        raise ConfigError(
            f"train.batch={batch} cannot be shared equally by {processes} processes; "
            f"take {processes * (batch // processes + 1)}"
        )
    if batch < 2 * parts * processes:
        by = f" by {processes} processes" if processes > 1 else ""
        raise ConfigError(
            f"train.accumulate={parts}{by} leaves parts of train.batch={batch} with fewer than two images"
        )


def choose_structure(schedule: str, learned: Learned) -> Structure:
    """The structure that a schedule trains: settled, weights only, or the whole graph."""
    if schedule == "joint" and isinstance(learned.learner, JointStructureLearner):
        return JointStructure(learned.learner, learned.graph)
    return Structure(learned.graph, learns=schedule in ("finetune", "joint"))


def learn_again(experiment: Experiment, console: Console) -> None:
    """Learn the graph again, now that the encoder reads: who is joined as before, which way round by its readings."""
    model, table, knowledge = experiment.model, experiment.table, experiment.learned.knowledge
    if not any(attribute.labelled for attribute in table.attributes):
        return  # the table has the degrees already
    before = model.graph
    with torch.random.fork_rng():
        found = read_again(experiment, console)
        if found is None:
            return
        model.structure.rewire(found, table, knowledge)
    experiment.training.objective.begin()
    experiment.training.same()
    after = model.graph
    say(console, plain(f"step {experiment.training.step_number}, the graph again", "bold"))
    say_notes(console, found)
    if (truth := experiment.data.truth) is not None:
        say(console, f"SHD to the true graph: {before.shd(truth)} before, now ", plain(str(after.shd(truth)), "bold"))


def read_again(experiment: Experiment, console: Console) -> CausalGraph | None:
    """The graph along what the encoder reads, None where it cannot read yet: the first process finds it for all."""
    team, text = experiment.team, ""
    if team.first:
        try:
            read = readings(experiment.export().eval(), experiment.data, experiment.table)
            found = directed(experiment.model.graph, read.latents, experiment.learned.knowledge)
            text = found.to_toml()
        except DataError as error:  # what says the same of every picture has not learned to read
            say(console, f"the graph stays as it was learned from the labels: {error}")
    text = team.told(text)
    return (found if team.first else CausalGraph.of_toml(text)) if text else None


def look(experiment: Experiment, console: Console) -> dict[str, float]:
    """What the model's pictures are like now, where it is time to look; says what is wrong with them."""
    watch, step, settings = experiment.watch, experiment.training.step_number, experiment.config.train
    if watch is None or (step % settings.watch_every and step != settings.steps):
        return {}
    looks = watch.look(experiment.export().eval())
    for remark in watch.remarks(step, looks):
        say(console, plain(remark, "yellow"))
    return looks


def play(experiment: Experiment, console: Console, trackers: Sequence[type[Tracker]] = ()) -> None:
    """Play the steps that are left, with progress, pictures, log, trackers and checkpoints."""
    settings, training, run, team = experiment.config.train, experiment.training, experiment.run, experiment.team
    first = training.step_number
    if first >= settings.steps:
        return
    latents = torch.as_tensor(experiment.table.latents).float().to(training.device)
    saved = said = time.monotonic()
    images, kept = 0, first
    disk = Patience(settings.full_disk, lambda text: say(console, text))
    faults = explaining_faults(run, settings, len(latents))
    told = tracking([tracker(run.folder, experiment.config.tables, first) for tracker in trackers])
    with progress(console, settings.steps, first) as report, interrupts() as interrupted, faults, told as track:
        ahead = range(first, settings.steps)
        for batch in batches(experiment.data, latents, settings.batch, ahead, settings.seed, team):
            team.seed(settings.seed, training.step_number)
            terms = training.step(batch)
            step, now = training.step_number, time.monotonic()
            looks = look(experiment, console)
            if step == 1 and team.first:
                experiment.best.check({**terms, **dict.fromkeys(experiment.watch.measures if experiment.watch else ())})
            experiment.best.add({**terms, **looks})
            images += settings.batch
            if settings.schedule == "joint" and step == settings.steps // 2:
                learn_again(experiment, console)
            with disk.bearing():
                if step == first + 1 or now - said > 2 or step == settings.steps or looks:
                    speed = images / max(now - said, 1e-9)
                    report(step, terms, speed)
                    images, said = 0, now
                    if team.first:
                        run.append_log({"step": step, "images_per_second": round(speed, 1), **terms, **looks})
                    track(step, {"images_per_second": speed, **terms, **looks})
                if team.first and settings.sample_every and step % settings.sample_every == 0:
                    sample_picture(experiment.export(), run.samples / f"{step:06d}.png", experiment.data)
            if now - saved > settings.checkpoint_every and step < settings.steps:
                saved = now
                with disk.bearing():
                    experiment.save()
                    kept = step
                    disk.ended()
            if number := team.most(interrupted()):
                say(console, f"stopping: saving step {step}; the same command goes on from there")
                if kept < step:
                    experiment.save()
                raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(STOPPED)
    experiment.save()
