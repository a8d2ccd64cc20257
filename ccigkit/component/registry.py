"""The registry: which kinds and components there are, and how one is chosen and built."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ccigkit.component.component import Component, is_kind
from ccigkit.component.options import options_of, resolve
from ccigkit.component.plugins import Plugin, load_plugins
from ccigkit.errors import ConfigError, one_of


@dataclass
class Registry:
    """Every kind and component that is installed, ours and others', and the plugins set aside as broken."""

    kinds: dict[str, type[Component]] = field(default_factory=dict)
    components: dict[tuple[str, str], type[Component]] = field(default_factory=dict)
    origins: dict[tuple[str, str], Plugin] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)  # plugin name -> reason

    def add(self, plugin: Plugin) -> None:
        """Register what a plugin brings; a plugin with one component at fault is set aside whole."""
        brought = {c.kind: c for c in plugin.components if _is_new_kind(c)}
        if reason := plugin.error or self._fault(plugin.components, brought):
            self.broken[plugin.name] = reason
            return
        self.kinds |= brought
        for component in plugin.components:
            if not is_kind(component):
                self.components[component.kind, component.name] = component
                self.origins[component.kind, component.name] = plugin

    def _fault(self, components: Iterable[object], brought: Mapping[str, type[Component]]) -> str | None:
        if taken := sorted(set(brought) & set(self.kinds)):
            return f"the kind {taken[0]!r} is already there"
        for component in components:
            if component in brought.values():
                continue
            if fault := signature_fault(component, {**self.kinds, **brought}):
                return fault
            assert isinstance(component, type)
            assert issubclass(component, Component)
            if (component.kind, component.name) in self.components:
                other = self.origins[component.kind, component.name].name
                return f"the {component.kind} {component.name!r} is already taken by plugin {other!r}"
        return None

    def get(self, kind: str, name: str) -> type[Component]:
        """The class of a component, by its name or, with a warning, by one that it had before.

        Raises:
            ConfigError: where there is none of that name, with the nearest names and the plugins set aside.
        """
        if kind not in self.kinds:
            raise ConfigError(one_of("kind of component", kind, self.kinds))
        if (kind, name) not in self.components:
            for component in self:
                if component.kind == kind and name in component.former_names:
                    now = component.name
                    warnings.warn(f"the {kind} {name!r} is now called {now!r}; write that", FutureWarning, stacklevel=2)
                    return component
            aside = "; ".join(f"plugin {plugin!r} was set aside: {reason}" for plugin, reason in self.broken.items())
            raise ConfigError(one_of(kind, name, self.names(kind)) + (f" ({aside})" if aside else ""))
        return self.components[kind, name]

    def names(self, kind: str) -> list[str]:
        """The names of one kind's components."""
        return sorted(name for k, name in self.components if k == kind)

    @property
    def chosen(self) -> list[str]:
        """The kinds of which every configuration has a component."""
        return [kind for kind, interface in self.kinds.items() if interface.default]

    @property
    def backbone(self) -> list[str]:
        """The kinds that `--backbone` chooses together."""
        return [kind for kind, interface in self.kinds.items() if interface.backbone]

    def __iter__(self) -> Iterator[type[Component]]:
        return iter(self.components.values())


def _is_new_kind(component: object) -> bool:
    return isinstance(component, type) and issubclass(component, Component) and is_kind(component)


def signature_fault(component: object, kinds: Mapping[str, type[Component]] | None = None) -> str | None:
    """What keeps a class from being a component of one of the kinds (those registered), or None where nothing does."""
    kinds = registry().kinds if kinds is None else kinds
    if not isinstance(component, type) or not issubclass(component, Component):
        return f"{component!r} is not a class that subclasses one of ccigkit's interfaces"
    what = f"{component.__module__}.{component.__qualname__}"
    kind = getattr(component, "kind", "")
    if kind not in kinds or not issubclass(component, kinds[kind]):
        return f"{what} subclasses none of the interfaces {', '.join(i.__name__ for i in kinds.values())}"
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


@dataclass(frozen=True)
class Choice:
    """A component that was chosen, with all its options."""

    component: type[Component]
    options: Mapping[str, Any]

    @classmethod
    def of(cls, kind: str, table: Mapping[str, Any], where: str = "") -> Choice:
        """The component `table["name"]` with the other entries as options, the rest at their defaults.

        Raises:
            ConfigError: for an unknown component or option, or a value of a wrong type or out of its range.
        """
        component = registry().get(kind, str(table["name"]))
        given = {key: value for key, value in table.items() if key != "name"}
        return cls(component, resolve(component, given, where or kind))

    @property
    def kind(self) -> str:
        """The component's kind."""
        return self.component.kind

    @property
    def name(self) -> str:
        """The component's name."""
        return self.component.name

    @property
    def table(self) -> dict[str, Any]:
        """Name and options, as a configuration file has them."""
        return {"name": self.name, **self.options}

    def build(self, wiring: Mapping[str, Any]) -> Any:
        """An instance, given what its wiring asks for."""
        return self.component(*(wiring[key] for key in self.component.wiring), **self.options)


def build(kind: str, table: Mapping[str, Any], wiring: Mapping[str, Any]) -> Any:
    """An instance of the component `table["name"]` with its other entries as options, and its kind's wiring.

    Raises:
        ConfigError: as `Choice.of`.
    """
    return Choice.of(kind, table).build(wiring)


class Assembly(dict[str, Any]):
    """Components that are wired to each other, by kind: each is built when first asked for, and once.

    `given` is what stands ready by name; any other name in a component's wiring is a kind. A kind of which nothing was
    chosen is None: a finished model, for example, has no discriminator.
    """

    def __init__(self, choices: Mapping[str, Choice], given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self.choices = choices

    def __missing__(self, name: str) -> Any:
        self[name] = self.choices[name].build(self) if name in self.choices else None
        return self[name]
