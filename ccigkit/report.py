"""What people look at: progress, pictures, tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from ccigkit.components import INTERFACES, options_of, registry, sentence
from ccigkit.config import Config, recipes
from ccigkit.errors import ConfigError, UserError, one_of
from ccigkit.graph import CausalGraph, Knowledge
from ccigkit.images import save_rows, to_float
from ccigkit.interfaces import Component, DataModule, RenderedData
from ccigkit.model import CausalImageModel
from ccigkit.run import Run

if TYPE_CHECKING:
    from ccigkit.experiment import Learned
    from ccigkit.structure.bootstrap import Bootstrap
    from ccigkit.structure.compare import Comparison, Distances

SHOWN = 8  # images in a row of a picture
TELLING = 0.85  # a sortability so far from 1/2, on either side, all but gives the order

# --- while training ---------------------------------------------------------------------------------------------------


@contextmanager
def progress(console: Console, steps: int, done: int) -> Iterator[Callable[[int, Mapping[str, float], float], None]]:
    """Progress for people: a live line on a terminal, a plain line now and then elsewhere."""
    columns = (
        SpinnerColumn(),
        TextColumn("training"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]:.0f} images/s"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[terms]}[/dim]"),
    )
    spoken = time.monotonic() - 60
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("train", total=steps, completed=done, speed=0.0, terms="")

        def tell(step: int, terms: Mapping[str, float], speed: float) -> None:
            nonlocal spoken
            text = "  ".join(f"{name.split('.')[-1]} {value:.3f}" for name, value in terms.items())
            bar.update(task, completed=step, speed=speed, terms=text)
            if not console.is_terminal and (time.monotonic() - spoken > 15 or step == steps):
                console.print(f"step {step}/{steps}  {speed:.0f} images/s  {text}", highlight=False, soft_wrap=True)
                spoken = time.monotonic()

        yield tell


@contextmanager
def counting(console: Console, what: str, total: int) -> Iterator[Callable[[], None]]:
    """A live line on a terminal that counts to a total; elsewhere silence."""
    columns = (SpinnerColumn(), TextColumn(what), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


# --- pictures ---------------------------------------------------------------------------------------------------------


def sample_picture(model: CausalImageModel, path: Path, data: DataModule) -> None:
    """A grid as training goes: test images, their reconstructions, new samples."""
    device = next(model.parameters()).device
    real = to_float(data.load("test").images[:SHOWN]).to(device)
    new = model.sample(2 * SHOWN, seed=0)
    rows = [("real", real), ("again", model.reconstruct(real)), ("new", new[:SHOWN]), ("new", new[SHOWN:])]
    save_rows(rows, path)


def interventions_picture(model: CausalImageModel, data: DataModule, path: Path) -> None:
    """Eight test images, and each of them under every single do()."""
    device = next(model.parameters()).device
    real = to_float(data.load("test").images[:SHOWN]).to(device)
    rows = [("real", real), ("again", model.reconstruct(real))]
    for attribute in model.attributes:
        if attribute.kind == "continuous":
            for share in (0.1, 0.9):
                value = attribute.low + share * (attribute.high - attribute.low)
                rows.append(
                    (f"do({attribute.name} = {value:.2g})", model.counterfactual(real, {attribute.name: value}))
                )
        else:
            for value, category in enumerate(attribute.categories or ("0", "1")):
                image = model.counterfactual(real, {attribute.name: float(value)})
                rows.append((f"do({attribute.name} = {category})", image))
    save_rows(rows, path, "test images, as the model sees them, and under each do()")


# --- tables -----------------------------------------------------------------------------------------------------------


def describe_graph(console: Console, learned: Learned, truth: CausalGraph | None, knowledge: Knowledge) -> None:
    """Print a learned graph, what was known of it beforehand, and how far it is from the truth."""
    graph = learned.graph
    found = f"{len(graph.edges)} edges, learned by {learned.learner.name} in {learned.seconds:.1f} s"
    console.print(f"[bold]The graph[/bold] ({found})")
    if knowledge.tiers:
        console.print(f"[dim]known beforehand: {' before '.join(', '.join(tier) for tier in knowledge.tiers)}[/dim]")
    console.print(graph.to_text(), highlight=False)
    for note in graph.notes:
        console.print(f"[dim]note: {note}[/dim]")
    if truth is not None:
        console.print(f"SHD to the true graph: [bold]{graph.shd(truth)}[/bold] (of {len(truth.edges)} true edges)")


def frequency_table(resampled: Bootstrap, learned: CausalGraph) -> Table:
    """How often resamples give each edge, those of the consensus first; beside it the graph of all rows."""
    consensus = resampled.graph
    table = Table("edge", title=f"{resampled.samples} resamples")
    for heading in ("strength", "joined", "this way", "all rows"):
        table.add_column(heading, justify="right")
    for cause, effect in resampled.remarks():
        at = consensus.index(cause), consensus.index(effect)
        inside = consensus.adjacency[at]
        whole = "yes" if learned.adjacency[at] else "reversed" if learned.adjacency[at[::-1]] else "no"
        table.add_row(
            f"{cause} -> {effect}",
            f"{consensus.strengths[at]:+.2f}" if inside else "left out",
            f"{resampled.adjacent[at]:.0%}",
            f"{resampled.arrows[at]:.0%}",
            whole,
            style="" if inside else "dim",
        )
    return table


def comparison_table(compared: Mapping[str, tuple[Comparison, Distances | None]]) -> Table:
    """Graphs by name against the true one: P, R and F1 are precision, recall and their mean."""
    table = Table(
        "against the true graph", "SHD", "skeleton P / R / F1", "arrows P / R / F1", "AUPRC", "SID", "ancestor"
    )
    for name, (found, distances) in compared.items():
        shares = (f"{s.precision:.2f} / {s.recall:.2f} / {s.f1:.2f}" for s in (found.skeleton, found.arrows))
        effects = (f"{n} of {distances.pairs}" for n in (distances.sid, distances.ancestor)) if distances else "--"
        table.add_row(name, str(found.shd), *shares, f"{found.auprc:.2f}", *effects)
    return table


def describe_sortability(console: Console, variance: float, r2: float, whose: str) -> None:
    """Print how much of the order a sort would find, and what that means where it is much."""
    lines = [f"varsortability {variance:.2f}, R2-sortability {r2:.2f}, of {whose} (0.50 tells nothing of its order)"]
    if max(1 - variance, variance) >= TELLING:
        lines.append("the raw variances all but give the order: distrust what learners find without standardising")
    if max(1 - r2, r2) >= TELLING:
        lines.append("how well the others explain each attribute all but gives the order, even when standardised")
    console.print("\n".join(lines), style="dim", highlight=False)


def summary(model: CausalImageModel, config: Config, run: Run, truth: CausalGraph | None) -> dict[str, Any]:
    """What a finished training learned, in figures."""
    log = run.read_log()
    speeds = sorted(entry["images_per_second"] for entry in log if "images_per_second" in entry)
    facts: dict[str, Any] = {
        "steps": config.train.steps,
        "images per second": speeds[len(speeds) // 2] if speeds else None,
        "edges": len(model.graph.edges),
    }
    if truth is not None:
        facts["SHD to the true graph"] = model.graph.shd(truth)
    return facts | {key: value for key, value in (log[-1] if log else {}).items() if "." in key}


def facts_table(facts: Mapping[str, Any], title: str) -> Table:
    """Figures by name, as a table of two columns."""
    table = Table(title=title, show_header=False)
    for key, value in facts.items():
        table.add_row(key, f"{value:.4f}" if isinstance(value, float) else str(value))
    return table


def rows_table(rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Rows of figures as a table, a dash for what could not be measured."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(title=title)
    for key in keys:
        table.add_column(key, justify="left" if isinstance(rows[0].get(key), str) else "right")
    for row in rows:
        table.add_row(*(_figure(row.get(key, "")) for key in keys))
    return table


def _figure(value: object) -> str:
    return "-" if value != value else f"{value:.2f}" if isinstance(value, float) else str(value)


def attribute_table(data: DataModule) -> Table:
    """A data set's attributes: kind, range, unit, causes."""
    _, height, width = data.image_shape
    heads = ("attribute", "kind", "from", "to", "unit", "caused by")
    table = Table(*heads, title=f"{data.name}: images of {width} x {height}")
    for a in data.table().attributes:
        causes = (", ".join(data.truth.parents(a.name)) or "nothing here") if data.truth else "unknown"
        table.add_row(a.name, a.kind, f"{a.low:.3g}", f"{a.high:.3g}", a.unit, causes)
    return table


def data_table() -> Table:
    """Every data set that is installed: attributes, size, what is known of its truth, what it needs on disk."""
    table = Table("name", "attributes", "images", "truth", "needs", title="data sets", show_lines=True)
    for name in registry().names("data"):
        table.add_row(name, *_data_facts(registry().get("data", name)))
    return table


def _data_facts(component: type[Component]) -> tuple[str, str, str, str]:
    """What a data set is by its defaults; one that reads files says only what its class does."""
    options = options_of(component)
    chosen = options["attributes"].default if "attributes" in options else ()
    size = f"size={options['size'].default}" if "size" in options else ""
    try:
        data: Any = component()
    except UserError:
        data = component
    names = [attribute.name for attribute in getattr(data, "attributes", ())] or chosen
    if shape := getattr(data, "image_shape", None):
        size = f"{shape[2]} x {shape[1]}, {'grey' if shape[0] == 1 else 'colour'}"
    edges = 0 if data.truth is None else len(data.truth.edges)
    truth = "not known" if data.truth is None else f"graph of {edges} edge{'s' * (edges != 1)}"
    truth += ", counterfactuals" if issubclass(component, RenderedData) else ""
    needs = f"root: {options['root'].help}" if "root" in options else "nothing"
    return ", ".join(names) or "as its labels say", size, truth, needs


def list_components(kind: str | None, console: Console) -> None:
    """Print the components of one kind, or all, with the plugins they come from and those set aside."""
    found = registry()
    if kind is not None and kind not in INTERFACES:
        raise ConfigError(one_of("kind of component", kind, INTERFACES))
    table = Table("kind", "name", "what it is", "plugin", title="components")
    for each in [kind] if kind else INTERFACES:
        for name in found.names(each):
            origin = found.origins[each, name]
            table.add_row(each, name, sentence(found.components[each, name]), f"{origin.name} {origin.version}")
    console.print(table)
    if kind is None:
        console.print(facts_table(recipes(), "recipes"))
    for plugin, reason in found.broken.items():
        console.print(f"[red]plugin {plugin!r} was set aside:[/red] {reason}", highlight=False)


def describe_component(kind: str, name: str, console: Console) -> None:
    """Print one component with its options."""
    component = registry().get(kind, name)
    console.print(f"[bold]{kind} {name}[/bold]: {sentence(component)}", highlight=False)
    table = Table("option", "type", "default", "meaning")
    for option in options_of(component).values():
        table.add_row(f"{kind}.{option.name}", option.type_name, repr(option.default), option.help)
    console.print(table if table.row_count else "no options")
