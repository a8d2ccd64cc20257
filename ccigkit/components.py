"""The registry: which components there are, what options they take, and how one is built.

Options are the keyword-only parameters of a component's constructor: the type is the annotation, the default the
signature's, the help the line of the class's `Args:` section. There is no configuration class beside the class.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from ccigkit import interfaces
from ccigkit.errors import ConfigError, one_of
from ccigkit.interfaces import Component
from ccigkit.plugins import Plugin, load_plugins

INTERFACES: dict[str, type[Component]] = {
    interface.kind: interface
    for interface in (
        interfaces.DataModule,
        interfaces.StructureLearner,
        interfaces.SCM,
        interfaces.Encoder,
        interfaces.Generator,
        interfaces.Discriminator,
        interfaces.Objective,
        interfaces.Metric,
    )
}


@dataclass(frozen=True)
class Option:
    """One option of a component: its type, its default and its line of help."""

    name: str
    type: Any
    default: Any
    help: str

    def validate(self, value: Any, where: str) -> Any:
        """The value in the option's type.

        Raises:
            ConfigError: naming `where` the value came from, the value, and what it should be.
        """
        try:
            return TypeAdapter(self.type, config=ConfigDict(allow_inf_nan=False)).validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            text = first["type"] == "string_type"
            remedy = f"; text that reads as a number goes in quotes: '\"{value}\"'" if text else ""
            raise ConfigError(f"{where}: {first['msg'].lower()}, got {value!r}{remedy}") from None

    @property
    def type_name(self) -> str:
        """The type as a reader writes it."""
        return (
            getattr(self.type, "__name__", "") if isinstance(self.type, type) else str(self.type).replace("typing.", "")
        )


def options_of(component: type) -> dict[str, Option]:
    """The options of a class, by name, in the order of its constructor."""
    constructor = component.__init__  # type: ignore[misc]
    parameters = inspect.signature(constructor).parameters.values()
    options = [parameter for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    # Only the options' annotations are read at run time: those of the wiring may be imported for type checking alone.
    annotated = type("Options", (), {"__annotations__": {p.name: p.annotation for p in options}})
    hints = get_type_hints(annotated, globalns=constructor.__globals__) if options else {}
    helps = _argument_helps(component)
    return {p.name: Option(p.name, hints[p.name], p.default, helps.get(p.name, "")) for p in options}


def sentence(component: type) -> str:
    """The first sentence of a class's docstring."""
    return " ".join((inspect.getdoc(component) or "").split("\n\n")[0].split())


def _argument_helps(component: type) -> dict[str, str]:
    text = inspect.getdoc(component) or ""
    _, _, section = text.partition("Args:\n")
    found = re.findall(r"^ {4}(\w+): (.+(?:\n {8,}.+)*)", section, flags=re.MULTILINE)
    return {name: " ".join(line.split()) for name, line in found}


@dataclass
class Registry:
    """Every component that is installed, ours and others', and the plugins set aside because they are broken."""

    components: dict[tuple[str, str], type[Component]] = field(default_factory=dict)
    origins: dict[tuple[str, str], Plugin] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)  # plugin name -> reason

    def add(self, plugin: Plugin) -> None:
        """Register what a plugin brings; a plugin with one component at fault is set aside whole."""
        if reason := plugin.error or self._fault(plugin.components):
            self.broken[plugin.name] = reason
            return
        for component in plugin.components:
            self.components[component.kind, component.name] = component
            self.origins[component.kind, component.name] = plugin

    def _fault(self, components: Iterable[object]) -> str | None:
        for component in components:
            if fault := signature_fault(component):
                return fault
            assert isinstance(component, type)
            assert issubclass(component, Component)
            if (component.kind, component.name) in self.components:
                other = self.origins[component.kind, component.name].name
                return f"the {component.kind} {component.name!r} is already taken by plugin {other!r}"
        return None

    def get(self, kind: str, name: str) -> type[Component]:
        """The class of a component.

        Raises:
            ConfigError: where there is none of that name, with the nearest names and the plugins set aside.
        """
        if kind not in INTERFACES:
            raise ConfigError(one_of("kind of component", kind, INTERFACES))
        if (kind, name) not in self.components:
            aside = "; ".join(f"plugin {plugin!r} was set aside: {reason}" for plugin, reason in self.broken.items())
            raise ConfigError(one_of(kind, name, self.names(kind)) + (f" ({aside})" if aside else ""))
        return self.components[kind, name]

    def names(self, kind: str) -> list[str]:
        """The names of one kind's components."""
        return sorted(name for k, name in self.components if k == kind)

    def __iter__(self) -> Iterator[type[Component]]:
        return iter(self.components.values())


def signature_fault(component: object) -> str | None:
    """What keeps a class from being a component, or None where nothing does."""
    if not isinstance(component, type) or not issubclass(component, Component):
        return f"{component!r} is not a class that subclasses one of ccigkit's interfaces"
    what = f"{component.__module__}.{component.__qualname__}"
    kind = getattr(component, "kind", None)
    if kind not in INTERFACES or not issubclass(component, INTERFACES[kind]):
        return f"{what} subclasses none of the interfaces {', '.join(i.__name__ for i in INTERFACES.values())}"
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", getattr(component, "name", "")):
        return f"{what} needs a class attribute `name` of small letters, digits, - and _"
    if missing := sorted(getattr(component, "__abstractmethods__", ())):
        return f"{what} does not implement {', '.join(missing)}"
    bare = component.__init__ is object.__init__  # no constructor of its own: nothing to wire, no options
    parameters = [] if bare else list(inspect.signature(component.__init__).parameters.values())[1:]
    wiring = tuple(p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if wiring != component.wiring:
        return f"{what}.__init__ takes {wiring} before the *, but a {kind} is given {component.wiring}"
    try:
        options = options_of(component)
    except NameError as error:
        return f"{what}.__init__ has an annotation that cannot be read at run time: {error}"
    for option in options.values():
        if inspect.Parameter.empty in (option.default, option.type):
            return f"{what}.__init__: the option {option.name!r} needs a type and a default"
    if any(p.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL) for p in parameters):
        return f"{what}.__init__ takes *args or **kwargs; name every option"
    return None


@cache
def registry() -> Registry:
    """The registry of everything installed, ours first; read once per process."""
    found = Registry()
    for plugin in load_plugins():
        found.add(plugin)
    return found


def resolve_options(kind: str, name: str, given: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """All options of a component, the given ones validated and the rest at their defaults.

    Raises:
        ConfigError: for an unknown component, an unknown option (with the nearest name) or a value of a wrong type.
    """
    options = options_of(registry().get(kind, name))
    for key in given:
        if key not in options:
            raise ConfigError(f"{where or kind}.{key}: " + one_of(f"option of the {kind} {name!r}:", key, options))
    return {
        key: option.validate(given[key], f"{where or kind}.{key}") if key in given else option.default
        for key, option in options.items()
    }


def build(kind: str, choice: Mapping[str, Any], wiring: Mapping[str, Any]) -> Any:
    """An instance of the component `choice["name"]` with its other entries as options, and its kind's wiring."""
    given = {key: value for key, value in choice.items() if key != "name"}
    component = registry().get(kind, choice["name"])
    options = resolve_options(kind, choice["name"], given)
    return component(*(wiring[key] for key in component.wiring), **options)
