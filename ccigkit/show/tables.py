"""Tables and lines for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from ccigkit.causal.effects import Effects
from ccigkit.causal.graph import CausalGraph
from ccigkit.data.base import DataModule
from ccigkit.show.terminal import add_column, add_row, new_table, plain, say
from ccigkit.structure.assess.bootstrap import Bootstrap
from ccigkit.structure.assess.compare import Comparison, Distances
from ccigkit.structure.assess.falsify import Verdict
from ccigkit.structure.learned import Learned

SHOWN = 40  # edges of which it is shown how sure they are
MOST = 10  # contradictions that are shown
TELLING = 0.85  # a sortability so far from 1/2, on either side, all but gives the order


def describe_graph(console: Console, learned: Learned, truth: CausalGraph | None) -> None:
    """Print a learned graph, what was known of it beforehand, and how far it is from the truth."""
    graph, knowledge = learned.graph, learned.knowledge
    found = f"{len(graph.edges)} edges, learned by {learned.learner.name} in {learned.seconds:.1f} s"
    say(console, plain("The graph", "bold"), f" ({found})")
    if knowledge.tiers:
        tiers = " before ".join(", ".join(tier) for tier in knowledge.tiers)
        say(console, plain(f"known beforehand: {tiers}", "dim"))
    say(console, graph.to_text())
    say_notes(console, graph)
    if graph.evidence:
        console.print(evidence_table(graph))
    if truth is not None:
        distance = plain(str(graph.shd(truth)), "bold")
        say(console, "SHD to the true graph: ", distance, f" (of {len(truth.edges)} true edges)")


def say_notes(console: Console, graph: CausalGraph) -> None:
    """Print the remarks of a graph's learner."""
    for note in graph.notes:
        say(console, plain(f"note: {note}", "dim"))


def evidence_table(graph: CausalGraph) -> Table:
    """How sure each edge is; of many edges those whose arrows cost least to turn, or can be turned for nothing."""
    ranked = [(edge, graph.evidence[edge]) for edge in graph.edges if edge in graph.evidence]
    sure = sorted(ranked, key=lambda entry: entry[1].reversal if entry[1].nats != "-" else float("inf"))
    more = f", the least sure {SHOWN} of {len(sure)}" if len(sure) > SHOWN else ""
    made = new_table("edge", title=f"how sure{more}")
    add_column(made, "strength", justify="right")
    add_column(made, "nats lost if turned", justify="right")
    add_column(made, "points that way")
    for (cause, effect), found in sure[:SHOWN]:
        add_row(made, f"{cause} -> {effect}", f"{found.strength:.2f}", found.nats, found.why)
    return made


def frequency_table(resampled: Bootstrap, learned: CausalGraph) -> Table:
    """How often resamples give each edge, those of the consensus first; beside it the graph of all rows."""
    consensus = resampled.graph
    made = new_table("edge", title=f"{resampled.samples} resamples")
    for heading in ("strength", "joined", "this way", "all rows"):
        add_column(made, heading, justify="right")
    for cause, effect in resampled.remarks():
        at = consensus.index(cause), consensus.index(effect)
        inside = consensus.adjacency[at]
        whole = "yes" if learned.adjacency[at] else "reversed" if learned.adjacency[at[::-1]] else "no"
        add_row(
            made,
            f"{cause} -> {effect}",
            f"{consensus.strengths[at]:+.2f}" if inside else "left out",
            f"{resampled.adjacent[at]:.0%}",
            f"{resampled.arrows[at]:.0%}",
            whole,
            style="" if inside else "dim",
        )
    return made


def comparison_table(compared: Mapping[str, tuple[Comparison, Distances | None]]) -> Table:
    """Graphs by name against the true one: P, R and F1 are precision, recall and their mean."""
    made = new_table(
        "against the true graph", "SHD", "skeleton P / R / F1", "arrows P / R / F1", "AUPRC", "SID", "ancestor"
    )
    for name, (found, distances) in compared.items():
        shares = (f"{s.precision:.2f} / {s.recall:.2f} / {s.f1:.2f}" for s in (found.skeleton, found.arrows))
        effects = (f"{n} of {distances.pairs}" for n in (distances.sid, distances.ancestor)) if distances else "--"
        add_row(made, name, str(found.shd), *shares, f"{found.auprc:.2f}", *effects)
    return made


def describe_sortability(console: Console, variance: float, r2: float, whose: str) -> None:
    """Print the sortabilities of a table, with a warning where they are high."""
    lines = [f"varsortability {variance:.2f}, R2-sortability {r2:.2f}, of {whose} (0.50 tells nothing of its order)"]
    if max(1 - variance, variance) >= TELLING:
        lines.append("the raw variances all but give the order: distrust what learners find without standardising")
    if max(1 - r2, r2) >= TELLING:
        lines.append("how well the others explain each attribute all but gives the order, even when standardised")
    say(console, plain("\n".join(lines), "dim"))


def describe_verdict(console: Console, verdict: Verdict) -> None:
    """Print what a table says of a graph: in a line, then the claims it contradicts, then what would mend most."""
    say(console, plain("Is the graph false?", "bold"), f" {verdict.line()}")
    if wrong := verdict.contradicted:
        made = new_table("claimed to be independent", "given", title="contradicted, the strongest first")
        for heading in ("dependence", "p"):
            add_column(made, heading, justify="right")
        for claim in wrong[:MOST]:
            pair = f"{claim.one}, {claim.other}"
            add_row(made, pair, ", ".join(claim.given) or "nothing", f"{claim.strength:.2f}", f"{claim.p:.0e}")
        console.print(made)
        if len(wrong) > MOST:
            say(console, f"and {len(wrong) - MOST} more")
    if verdict.mends:
        ways = " or ".join(f"{mend.change} ({mend.left} of {len(wrong)} left)" for mend in verdict.mends)
        say(console, f"would mend most: {ways}")
    if verdict.shuffled and verdict.as_good > 0.05:
        say(console, plain("names at random do as well too often: the check says little for this graph", "dim"))


def effects_table(found: Effects, cause: str, effect: str) -> Table:
    """What a cause does to an effect; the last columns are what the rates and the rows alone leave open."""
    made = new_table("", title=f"X: {cause}, Y: {effect}; {found.treated} of {found.n} rows have X")
    for heading in ("value", "at least", "at most"):
        add_column(made, heading, justify="right")
    for x in (0, 1):
        add_row(made, f"Y seen where X = {x}", _effect(found.observed[x]))
    for x in (0, 1):
        add_row(made, f"Y under do(X = {x})", _effect(found.under[x]))
    add_row(made, "average effect", _effect(found.average))
    add_row(made, "effect on the treated", _effect(found.on_treated))
    chances = (
        ("necessary: no Y without X, where both are", found.necessity),
        ("sufficient: Y with X, where neither is", found.sufficiency),
        ("both: Y with X, no Y without", found.both),
    )
    for (what, chance), bounds in zip(chances, found.bounds, strict=True):
        if chance == chance or bounds[0] == bounds[0]:  # of a number there are none
            add_row(made, what, *map(_effect, (chance, *bounds)))
    return made


def _effect(value: float) -> str:
    return "-" if value != value else f"{value:.4g}"


def facts_table(facts: Mapping[str, Any], title: str) -> Table:
    """Figures by name, as a table of two columns."""
    made = new_table(title=title, show_header=False)
    for key, value in facts.items():
        add_row(made, key, f"{value:.4f}" if isinstance(value, float) else str(value))
    return made


def rows_table(rows: Sequence[Mapping[str, Any]], title: str, digits: int = 2) -> Table:
    """Rows of figures as a table, a dash for what could not be measured."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    made = new_table(title=title)
    for key in keys:
        add_column(made, key, justify="left" if isinstance(rows[0].get(key), str) else "right")
    for figures in rows:
        add_row(made, *(_figure(figures.get(key, ""), digits) for key in keys))
    return made


def _figure(value: object, digits: int) -> str:
    return "-" if value != value else f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def attribute_table(data: DataModule) -> Table:
    """A data set's attributes: kind, range, unit, causes."""
    _, height, width = data.image_shape
    heads = ("attribute", "kind", "from", "to", "unit", "caused by")
    made = new_table(*heads, title=f"{data.name}: images of {width} x {height}")
    for a in data.table().attributes:
        causes = (", ".join(data.truth.parents(a.name)) or "nothing here") if data.truth else "unknown"
        add_row(made, a.name, a.kind, a.written(a.low), a.written(a.high), a.unit, causes)
    return made
