"""The commands components and data list: what is installed."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from ccigkit.causal.named import known_by_name
from ccigkit.commands.config import recipes
from ccigkit.component.component import Component
from ccigkit.component.known import KNOWN
from ccigkit.component.options import options_of, sentence
from ccigkit.component.registry import registry
from ccigkit.data.base import RenderedData
from ccigkit.errors import ConfigError, UserError, one_of
from ccigkit.show.tables import facts_table
from ccigkit.show.terminal import add_row, new_table, plain, say


def data_table() -> Table:
    """Every data set that is installed: attributes, size, what is known of its truth, what it needs on disk."""
    made = new_table("name", "attributes", "images", "truth", "needs", title="data sets", show_lines=True)
    for name in registry().names("data"):
        add_row(made, name, *_data_facts(registry().get("data", name)))
    return made


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
    if kind is not None and kind not in found.kinds:
        raise ConfigError(one_of("kind of component", kind, found.kinds))
    made = new_table("kind", "name", "what it is", "plugin", title="components")
    for each in [kind] if kind else found.kinds:
        for name in found.names(each):
            origin = found.origins[each, name]
            add_row(made, each, name, sentence(found.components[each, name]), f"{origin.name} {origin.version}")
    console.print(made)
    if kind is None:
        console.print(facts_table(recipes(), "recipes"))
        console.print(facts_table(known_by_name(), "knowledge: knowledge.named=NAME"))
        if models := found.ask("ccigkit_models", "models"):
            console.print(facts_table({name: str(folder) for name, folder in models.items()}, "models: NAME for RUN"))
        here = {plugin.name for plugin in found.plugins} | set(found.broken)
        if missing := {f"ccigkit-{k.name}": f"{k.what}; {k.install}" for k in KNOWN if k.name not in here}:
            console.print(facts_table(missing, "plugins that are not installed"))
    for plugin, reason in found.broken.items():
        say(console, plain(f"plugin {plugin!r} was set aside:", "red"), f" {reason}")


def describe_component(kind: str, name: str, console: Console) -> None:
    """Print one component with its options."""
    component = registry().get(kind, name)
    say(console, plain(f"{kind} {name}", "bold"), f": {sentence(component)}")
    made = new_table("option", "type", "default", "meaning")
    for option in options_of(component).values():
        add_row(made, f"{kind}.{option.name}", option.type_name, repr(option.default), option.help)
    console.print(made if made.row_count else "no options")
