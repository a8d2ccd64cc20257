"""What the page asks, put to the model: everything here calls ccigkit, and nothing here computes."""

from __future__ import annotations

import re
import secrets
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from ccigkit import CausalGraph, CausalImageModel, CausalModel, Table, UserError
from ccigkit.attributes import Attribute, parse_do
from ccigkit.causal.do import written
from ccigkit.causal.interventions import Policy, settled
from ccigkit.causal.model import seeded
from ccigkit.causal.scm.base import Intervention
from ccigkit.causal.structure import Structure
from ccigkit.commands.run import Run
from ccigkit.data.base import DataModule, RenderedData, Split
from ccigkit.errors import CheckpointError, ConfigError
from ccigkit.images import to_float
from ccigkit.metrics.protocol.questions import as_drawn
from ccigkit.model import Codes as ModelCodes
from ccigkit.model import load_model
from ccigkit.model.detail import keep_detail
from ccigkit.model.place import located
from ccigkit.names import elided
from ccigkit.show.layout import layered
from ccigkit.show.sheet import caption
from ccigkit.structure.assess.falsify import in_a_line
from ccigkit_studio import schema
from ccigkit_studio.guard import UPLOAD
from ccigkit_studio.pages import Page, pages
from ccigkit_studio.pictures import Kept, Picture, decoded, inline

UPLOADS, CODES, GRAPHS = 64, 256, 8  # kept in memory; a picture of 64 pixels with its codes takes about 150 kB
ROWS, DRAWN, FEW, SHOWN = 500, 2000, 10, 6  # that means are of: the nearest, new ones, the least; pictures beside them
NEAR = 0.05  # of a range: values this near are taken for the same


class MissingError(UserError):
    """What was asked for is not there, or not kept any more."""


@dataclass(frozen=True)
class Edited:
    """A graph that somebody edited, and the model with mechanisms fitted along it."""

    facts: schema.GraphFacts
    model: CausalImageModel


class Studio:
    """A run, asked by many at once: it keeps pictures and edited graphs for a while, and writes nothing.

    Args:
        where: the run, whose model is read again after every checkpoint, or the name of a model that is installed.
        device: where the model is to be.

    Raises:
        CheckpointError: where the folder holds neither a run nor a model.
    """

    def __init__(self, where: Path, device: str = "cpu") -> None:
        self.where, self.folder, self.device = where, (folder := located(where)), device
        self.run = Run(folder)
        self.version, self.stamp = 0, 0.0
        self.uploads = Kept[str, Picture](UPLOADS)
        self.codes = Kept[tuple[str, str | None], ModelCodes](CODES)
        self.graphs = Kept[str, Edited](GRAPHS)
        self.loaded: CausalImageModel | None = None
        if not (folder / "model.safetensors").is_file() and not (folder / "config.toml").is_file():
            raise CheckpointError(f"{folder} holds neither a run nor a model; train one with ccigkit train --run")

    # --- what there is ------------------------------------------------------------------------------------------------

    @property
    def model(self) -> CausalImageModel:
        """The model as the last checkpoint left it.

        Raises:
            CheckpointError: where there is none yet, or it cannot be read.
        """
        file = self.folder / "model.safetensors"
        stamp = file.stat().st_mtime if file.is_file() else 0.0
        if self.loaded is None or (stamp and stamp != self.stamp):
            self.loaded, self.stamp = load_model(self.folder, self.device), stamp
            self.version += 1
            self.codes.clear()
            self.graphs.clear()
        return self.loaded

    @cached_property
    def pages(self) -> dict[str, Page]:
        """The pages that plugins bring, by title."""
        return pages()

    @cached_property
    def data(self) -> DataModule | None:
        """The data set of the run, or None where it is not at hand: then new pictures stand in for its own."""
        try:
            data: DataModule = self.run.config["data"].build({})
            self.test = data.load("test")
        except (UserError, OSError) as reason:
            self.note = f"no test pictures: {reason}"
            return None
        return data

    test: Split | None = None
    note: str = ""

    @cached_property
    def table(self) -> Table | None:
        """The training table, or None where the data are not at hand."""
        return self.data.table() if self.data else None

    def under(self, graph: str | None) -> CausalImageModel:
        """The model under an edited graph, or as it is."""
        model = self.model
        return self.edited(graph).model if graph else model

    def edited(self, graph: str) -> Edited:
        """An edited graph that is still kept.

        Raises:
            MissingError: where it is not.
        """
        return self.graphs.get(graph, _gone(f"the graph {graph} is not kept any more; apply it again"))

    def facts(self) -> schema.ModelFacts:
        """Everything that the page needs to begin."""
        model, data = self.model, self.data
        channels, height, width = model.image_shape
        return schema.ModelFacts(
            name=self.where.resolve().name,
            run=str(self.where),
            version=self.version,
            attributes=[
                schema.AttributeFacts(
                    name=a.name,
                    kind=a.kind,
                    unit=a.unit,
                    low=a.low,
                    high=a.high,
                    categories=list(a.categories),
                    degrees=a.kind == "binary" and not a.labelled,
                )
                for a in model.attributes
            ],
            graph=graph_facts(self.explained(model.graph)),
            width=width,
            height=height,
            channels=channels,
            upload=UPLOAD,
            tests=len(self.test) if self.test else 0,
            truth=isinstance(data, RenderedData) and self.test is not None and self.test.noise is not None,
            table=data is not None,
            step=next((entry["step"] for entry in reversed(self.run.read_log())), None),
            note=self.note,
            pages=list(self.pages),
        )

    def explained(self, graph: CausalGraph) -> CausalGraph:
        """The model's graph with how sure its arrows are, where the run says so."""
        try:
            return replace(graph, evidence=CausalGraph.from_toml(self.folder / "graph.toml").evidence)
        except UserError:
            return graph

    # --- pictures -----------------------------------------------------------------------------------------------------

    def take(self, content: bytes) -> str:
        """Keep an uploaded picture for a while, in memory alone.

        Raises:
            DataError: where it is none.
        """
        image, name = decoded(content, self.model), f"own-{secrets.token_urlsafe(12)}"
        self.uploads.put(name, Picture(image.to(self.device)))
        return name

    def picture(self, name: str) -> Picture:
        """A test picture by its row, a new one by its seed, or an upload.

        Raises:
            MissingError: where there is none of that name.
        """
        what, _, number = name.partition("-")
        if re.fullmatch(r"[0-9]{1,9}", number) and what == "test" and self.data and self.test:
            row = int(number)
            if row < len(self.test):
                noise = None if self.test.noise is None else self.test.noise[row : row + 1]
                values = torch.as_tensor(self.test.values[row : row + 1])
                return Picture(to_float(self.test.images[row : row + 1]).to(self.device), values, noise)
        if re.fullmatch(r"[0-9]{1,9}", number) and what == "new":
            return Picture(self.model.sample(1, seed=int(number)))
        return self.uploads.get(name, _gone(f"the picture {name} is not kept any more; choose another"))

    def abducted(self, name: str, graph: str | None) -> tuple[CausalImageModel, Picture, ModelCodes]:
        """The model under a graph, a picture, and what the one reads in the other."""
        model = self.under(graph)
        picture = self.picture(name)
        values = picture.values
        codes = self.codes.get((name, graph), lambda: model.abduct(picture.image, values))
        return model, picture, codes

    def tests(self, start: int, n: int) -> list[schema.TestPicture]:
        """Test pictures in a row."""
        if not self.data or not self.test or not self.table:
            return []
        rows = range(min(start, len(self.test)), min(start + n, len(self.test)))
        captions = {row: ", ".join(caption(self.table, self.test.values[row])) for row in rows}
        return [
            schema.TestPicture(id=f"test-{row}", image=inline(to_float(self.test.images[row])), caption=captions[row])
            for row in rows
        ]

    # --- questions ----------------------------------------------------------------------------------------------------

    def counterfactual(self, asked: schema.Question) -> schema.Answer:
        """A picture as it would have been.

        Raises:
            UserError: where the question cannot be asked.
        """
        model, picture, codes = self.abducted(asked.picture, asked.graph)
        attributes = model.attributes
        said = parse_do(asked.do, attributes)
        hard = settled(said, attributes, model.values(codes), asked.seed)
        before, after = model.values(codes), model.values(codes, hard)
        truth = self.truth(picture, attributes, hard)
        labels = picture.values
        return schema.Answer(
            version=self.version,
            image=inline(codes.image[0]),
            drawn=inline(codes.drawn[0]),
            answer=inline(model.predict(codes, hard, detail=asked.detail)[0]),
            truth=inline(to_float(truth.images[0])) if truth else None,
            before=said_values(attributes, before),
            after=said_values(attributes, after),
            true=said_values(attributes, torch.as_tensor(truth.values)) if truth else None,
            labels=said_values(attributes, labels) if labels is not None else None,
            cut=[(cause, name) for name in hard for cause in model.graph.parents(name)],
            command=self.command(asked),
            python=self.python(asked, said),
        )

    def truth(self, picture: Picture, attributes: Sequence[Attribute], hard: Mapping[str, Tensor]) -> Split | None:
        """The true counterfactual of a test picture that was drawn, or None where nobody knows it."""
        if picture.noise is None or not isinstance(self.data, RenderedData):
            return None
        of = {attribute.name: attribute for attribute in attributes}
        do = {name: as_drawn(of[name], value.flatten().cpu(), self.data) for name, value in hard.items()}
        return self.data.counterfactual(picture.noise, do)

    def abduct(self, asked: schema.PictureQuestion) -> schema.Codes:
        """What a picture is made of."""
        model, _, codes = self.abducted(asked.picture, asked.graph)
        return schema.Codes(
            names=list(model.attributes.names),
            noise=codes.u[0].tolist(),
            latents=codes.z[0].tolist(),
            values=said_values(model.attributes, model.values(codes)),
        )

    def sample(self, asked: schema.SampleQuestion) -> schema.Drawn:
        """New pictures, under an intervention if one is given."""
        model = self.under(asked.graph)
        codes = model.imagine(asked.n, parse_do(asked.do, model.attributes), seed=asked.seed)
        values = model.values(codes)
        return schema.Drawn(
            id=f"new-{asked.seed}",
            images=[inline(image) for image in codes.drawn],
            values=[said_values(model.attributes, row[None]) for row in values],
        )

    def along(self, asked: schema.AlongQuestion) -> schema.Along:
        """A picture with one attribute all over its range, under the other interventions; a label by degrees."""
        model, _, codes = self.abducted(asked.picture, asked.graph)
        at = model.attributes.index(asked.attribute)
        attribute: Attribute = model.attributes[at]
        latents = stops(attribute, asked.n)
        n = len(latents)
        z, image, drawn = (part.expand(n, *part.shape[1:]) for part in (codes.z, codes.image, codes.drawn))
        hard = settled(parse_do(asked.do, model.attributes), model.attributes, model.values(codes))
        rest = {name: value for name, value in hard.items() if name != asked.attribute}
        others, own = model.causal.intervention(rest, z), Intervention.of({at: latents}, z)
        both = Intervention(others.mask | own.mask, torch.where(own.mask, own.values, others.values))
        with torch.no_grad():
            changed = model.render(model.causal.act(z, both), repeated(codes.style, n))
        values = attribute.to_value(latents.double())
        labels = [say(attribute, float(value)) for value in values]
        return schema.Along(labels=labels, images=[inline(one) for one in keep_detail(image, drawn, changed)])

    def see(self, asked: schema.SeeQuestion) -> schema.SeeAnswer:
        """The same question asked of the data and of the mechanisms: the rows that have a value, and rows set to it.

        Raises:
            ConfigError: where a setting is no fixed value, or too few rows have it.
        """
        model = self.under(asked.graph)
        attributes = model.attributes
        do = parse_do(asked.given, attributes)
        if drawn := [name for name, value in do.items() if isinstance(value, Policy)]:
            raise ConfigError(
                f"{', '.join(drawn)} is not set to one value, and can be done but not seen; use NAME=VALUE"
            )
        values = torch.as_tensor(self.table.values) if self.table else model.causal.sample(20 * ROWS, seed=0)
        hard = settled(do, attributes, values[:1])
        rows = alike(
            values, {attributes.index(name): float(value.flatten()[0]) for name, value in hard.items()}, attributes
        )
        if len(rows) < FEW:
            few = f"{len(rows)} of {len(values)} rows are at {written(do)}, too few to see anything"
            raise ConfigError(f"{few}; set values that more have, or fewer attributes")
        done = model.causal.sample(DRAWN, do, seed=0)
        found = [
            schema.Seen(who="all", rows=len(values), means=values.mean(dim=0).tolist(), images=[]),
            schema.Seen(who="seen", rows=len(rows), means=values[rows].mean(dim=0).tolist(), images=self.seen(hard)),
            schema.Seen(
                who="done",
                rows=DRAWN,
                means=done.mean(dim=0).tolist(),
                images=[inline(image) for image in model.sample(SHOWN, do, seed=0)],
            ),
        ]
        if isinstance(self.data, RenderedData):
            noise = self.data.sample_noise(DRAWN, torch.Generator().manual_seed(0))
            drawn_do = {
                name: as_drawn(attributes[attributes.index(name)], value.flatten()[:1].cpu().expand(DRAWN), self.data)
                for name, value in hard.items()
            }
            true = self.data.counterfactual(noise[:SHOWN], {name: value[:SHOWN] for name, value in drawn_do.items()})
            means = torch.as_tensor(self.data.values(noise, drawn_do)).double().mean(dim=0).tolist()
            images = [inline(to_float(image)) for image in true.images]
            found.append(schema.Seen(who="true", rows=DRAWN, means=means, images=images))
        ranges = [(a.low, a.high) if a.kind == "continuous" else (0.0, max(1.0, a.high)) for a in attributes]
        return schema.SeeAnswer(names=list(attributes.names), ranges=ranges, found=found)

    def seen(self, hard: Mapping[str, Tensor]) -> list[str]:
        """Test pictures that have these values."""
        if not self.test:
            return []
        attributes = self.model.attributes
        at = {attributes.index(name): float(value.flatten()[0]) for name, value in hard.items()}
        rows = alike(torch.as_tensor(self.test.values), at, attributes)[:SHOWN]
        return [inline(to_float(self.test.images[row])) for row in rows.tolist()]

    # --- other graphs -------------------------------------------------------------------------------------------------

    def refit(self, asked: schema.GraphQuestion) -> schema.GraphFacts:
        """Fit new mechanisms along an edited graph; its networks stay as they are.

        Raises:
            UserError: where that is no graph, or there is no table to fit to.
        """
        start, model, table = time.perf_counter(), self.model, self.table
        if table is None:
            raise ConfigError(f"there is no table to fit a graph to; {self.note or 'the data are not at hand'}")
        edges = [{"cause": cause, "effect": effect, "strength": 1.0} for cause, effect in asked.edges]
        pairs = [{"one": one, "other": other} for one, other in asked.hidden]
        graph = CausalGraph.from_edges(model.attributes.names, edges, pairs)
        with seeded(0, torch.device(self.device)):  # a new SCM begins at random
            causal = CausalModel(model.attributes, Structure(graph), model.scm.unfitted()).to(self.device)
        causal.fit(table, seed=0).eval().requires_grad_(False)
        name = secrets.token_urlsafe(8)
        facts = graph_facts(causal.graph).model_copy(
            update={"id": name, "verdict": in_a_line(graph, table), "seconds": time.perf_counter() - start}
        )
        self.graphs.put(name, Edited(facts, model.with_causal(causal)))
        return facts

    # --- the same elsewhere -------------------------------------------------------------------------------------------

    def command(self, asked: schema.Question) -> str:
        """The command line that gives the same answer, of the model's own graph."""
        words = ["ccigkit", "counterfactual", str(self.where), "picture.png"]
        words += [word for setting in asked.do for word in ("--do", setting)]
        words += [] if asked.detail else ["--no-detail"]
        words += ["--seed", str(asked.seed)] if asked.seed else []
        return shlex.join(words)

    def python(self, asked: schema.Question, said: Mapping[str, object]) -> str:
        """The Python that gives the same answer."""
        do = ", ".join(f"{name!r}: {_spoken(value)}" for name, value in said.items())
        more = "" if asked.detail else ", detail=False"
        more += f", seed={asked.seed}" if asked.seed else ""
        graph = self.edited(asked.graph).facts if asked.graph else None
        edges = (
            [f"{edge.cause} {'<->' if edge.hidden else '->'} {edge.effect}" for edge in graph.edges] if graph else []
        )
        refit = [
            f"graph = CausalGraph.from_edges(model.attributes.names, {edges!r})",
            f"data = Run(Path({str(self.folder)!r})).config['data'].build({{}})",
            "torch.manual_seed(0)",
            "causal = CausalModel(model.attributes, Structure(graph), model.scm.unfitted()).fit(data.table())",
            "model = model.with_causal(causal)",
        ]
        imports = [
            "from pathlib import Path",
            "import torch",
            "from ccigkit import CausalGraph, CausalModel",
            "from ccigkit.causal.structure import Structure",
            "from ccigkit.commands.run import Run",
        ]
        lines = [
            "import ccigkit",
            *(imports if graph else []),
            f"model = ccigkit.load({str(self.where)!r})",
            *(refit if graph else []),
            'image = ccigkit.read_image("picture.png", model)',
            f"answer = model.counterfactual(image, do={{{do}}}{more})",
            'ccigkit.save_image(answer, "answer.png")',
        ]
        return "\n".join(lines)

    # --- training -----------------------------------------------------------------------------------------------------

    def training(self, points: int = 300) -> schema.Training:
        """How far the run is, its curves in so many points, and the sample pictures there are."""
        log = self.run.read_log()
        try:
            steps = self.run.config.train.steps
        except UserError:
            steps = log[-1]["step"] if log else 0
        step = log[-1]["step"] if log else 0
        fresh = self.run.log.is_file() and time.time() - self.run.log.stat().st_mtime < 120
        every = max(1, -(-len(log) // points))
        kept = log[::-1][::every][::-1]
        numbers = [{k: float(v) for k, v in entry.items() if isinstance(v, int | float) and v == v} for entry in kept]
        samples = sorted(int(file.stem) for file in self.run.samples.glob("*.png") if file.stem.isdigit())
        return schema.Training(
            step=step, steps=steps, running=bool(fresh and step < steps), log=numbers, samples=samples
        )

    def sample_file(self, step: int) -> bytes:
        """A sample picture of the run, by its step.

        Raises:
            MissingError: where there is none.
        """
        file = self.run.samples / f"{step:06d}.png"
        if not file.is_file():
            raise MissingError(f"there are no samples of step {step}")
        return file.read_bytes()


def graph_facts(graph: CausalGraph) -> schema.GraphFacts:
    """A graph as it is drawn."""
    drawn = layered(graph, letter=0.055, beside=1.15, step=1.15)
    arrows = [
        schema.EdgeFacts(
            cause=cause,
            effect=effect,
            strength=float(graph.strengths[graph.index(cause), graph.index(effect)]),
            evidence=str(graph.evidence.get((cause, effect), "")),
            way=drawn.arrows[cause, effect],
        )
        for cause, effect in graph.edges
    ]
    hidden = [schema.EdgeFacts(cause=one, effect=other, strength=0.0, hidden=True) for one, other in graph.pairs]
    return schema.GraphFacts(
        id=None,
        places=drawn.places,
        edges=arrows + hidden,
        width=drawn.width,
        height=drawn.height,
        toml=graph.to_toml(),
    )


def said_values(attributes: Sequence[Attribute], values: Tensor) -> list[schema.Value]:
    """The values [1, d] of one picture, each as a number and as a person writes it."""
    row = values[0].tolist()
    return [
        schema.Value(name=a.name, value=value, said=say(a, value)) for a, value in zip(attributes, row, strict=True)
    ]


def say(attribute: Attribute, value: float) -> str:
    """A value in few letters, with its unit."""
    if attribute.kind == "binary":
        return f"{value:.2f}" if not attribute.labelled else f"{value:.0f}"
    return f"{elided(attribute.written(value))} {attribute.unit}".strip()


def stops(attribute: Attribute, n: int) -> Tensor:
    """Latents [m] all over the range of an attribute: n of a number or a label, each of a category."""
    if attribute.kind == "continuous":
        return attribute.intervention(torch.linspace(attribute.low, attribute.high, n, dtype=torch.float64))
    if attribute.kind == "binary":
        return torch.linspace(min(attribute.levels), max(attribute.levels), n)
    return attribute.intervention(torch.arange(len(attribute.levels), dtype=torch.float64))


def repeated(style: object, n: int) -> object:
    """The style of one picture for n of them, whatever tensors it is made of."""
    if isinstance(style, Tensor):
        return style.expand(n, *style.shape[1:])
    if isinstance(style, list | tuple):
        return type(style)(repeated(part, n) for part in style)
    if isinstance(style, dict):
        return {key: repeated(part, n) for key, part in style.items()}
    return style


def alike(values: Tensor, at: Mapping[int, float], attributes: Sequence[Attribute]) -> Tensor:
    """The rows [m] of values [n, d] that have these: labels and categories the same, numbers within `NEAR`."""
    same = torch.ones(len(values), dtype=torch.bool)
    for j, value in at.items():
        attribute, column = attributes[j], values[:, j]
        if attribute.kind == "continuous":
            same &= (column - value).abs() <= NEAR * (attribute.high - attribute.low)
        else:
            same &= (column > 0.5) == (value > 0.5) if attribute.kind == "binary" else column == value
    return same.nonzero().flatten()


def _gone(why: str) -> Callable[[], NoReturn]:
    def missing() -> NoReturn:
        raise MissingError(why)

    return missing


def _spoken(value: object) -> str:
    """A value of a do() as Python writes it."""
    if not isinstance(value, Policy):
        return repr(int(value) if isinstance(value, float) and value.is_integer() else value)
    text = str(value)
    if text.startswith("~N("):
        return f"ccigkit.normal({text[3:-1]})"
    if text.startswith("~"):
        return f"ccigkit.soft({text[1:]})"
    return f"ccigkit.shift({text.removeprefix('+=').replace('-=', '-')})"
