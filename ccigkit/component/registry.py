"""The registry: which kinds and components there are, and how one is chosen and built."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ccigkit.component.component import Component, is_kind
from ccigkit.component.known import KNOWN
from ccigkit.component.options import options_of, resolve
from ccigkit.component.plugin_file import PluginFile, load_plugin_file, remember, remembered
from ccigkit.component.plugins import Plugin, load_plugins
from ccigkit.errors import ConfigError, one_of


@dataclass
class Registry:
    """Every kind and component that is installed, ours and others', and the plugins set aside as broken."""

    kinds: dict[str, type[Component]] = field(default_factory=dict)
    components: dict[tuple[str, str], type[Component]] = field(default_factory=dict)
    origins: dict[tuple[str, str], Plugin] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)  # plugin name -> reason
    plugins: list[Plugin] = field(default_factory=list)  # those that are not broken
    files: dict[PluginFile, Plugin] = field(default_factory=dict)  # those that are no packages

    def add(self, plugin: Plugin) -> None:
        """Register what a plugin brings; a plugin with one component at fault is set aside whole."""
        brought = {c.kind: c for c in plugin.components if _is_new_kind(c)}
        if reason := plugin.error or self._fault(plugin.components, brought):
            self.broken[plugin.name] = reason
            return
        self.plugins.append(plugin)
        self.kinds |= brought
        for component in plugin.components:
            if not is_kind(component):
                self.components[component.kind, component.name] = component
                self.origins[component.kind, component.name] = plugin

    def add_file(self, file: PluginFile, content: bytes) -> None:
        """Register what a file brings, in place of what the same file brought before.

        Raises:
            ConfigError: where it cannot be run, brings nothing, or brings what is no component or is there already.
        """
        if file in self.files:
            return
        plugin = load_plugin_file(file, content)
        for former in [other for other in self.files if other.path == file.path]:
            gone = self.files.pop(former)
            self.plugins.remove(gone)
            for component in gone.components:
                self.kinds.pop(component.kind, None) if is_kind(component) else self._forget(component)
        self.add(plugin)
        if fault := self.broken.pop(plugin.name, None):
            raise ConfigError(f"the plugin file {file.path}: {fault}")
        self.files[file] = plugin

    def _forget(self, component: type[Component]) -> None:
        del self.components[component.kind, component.name], self.origins[component.kind, component.name]

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
            known = next((f"; {plugin.remedy}" for plugin in KNOWN if (kind, name) in plugin.components), "")
            raise ConfigError(one_of(kind, name, self.names(kind)) + known + (f" ({aside})" if aside else ""))
        return self.components[kind, name]

    def names(self, kind: str) -> list[str]:
        """The names of one kind's components."""
        return sorted(name for k, name in self.components if k == kind)

    def ask(self, hook: str, what: str, **given: Any) -> dict[str, Any]:
        """What the plugins answer to a hook, by name, the first of a name; one that fails is said, and passed over.

        Args:
            hook: the hook's name.
            what: what it brings, for the message.
            given: the hook's arguments.
        """
        found: dict[str, Any] = {}
        for plugin in self.plugins:
            try:
                for answer in getattr(plugin.hooks, hook)(**given) if plugin.hooks else ():
                    found = dict(answer) | found
            except Exception as error:  # noqa: BLE001  whatever a stranger's code raises
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                warnings.warn(f"the {what} of plugin {plugin.name!r} are left out: {reason}", stacklevel=2)
        return found

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


def files_in_use() -> list[Plugin]:
    """The plugins of one file that were named so far, without reading what is installed."""
    return list(registry().files.values()) if registry.cache_info().currsize else []


def use_plugin(path: str | Path) -> None:
    """Let the components of a file be chosen by name, as if they were installed; the file is run.

    That it may is remembered on this machine, for this content of the file: see `need_plugin`.

    Args:
        path: the file, which ends in .py.

    Raises:
        ConfigError: where it is not there, cannot be run, brings no component, or one whose name is taken.
    """
    file, content = PluginFile.read(path)
    registry().add_file(file, content)
    remember(file)


def need_plugin(wanted: PluginFile, whose: str) -> PluginFile:
    """Let the components of a file be chosen by name that a run or a configuration names; the file in use.

    What was named with `--plugin` in this command comes first, and where its content is another, that is said.
    Otherwise the file is run only where it has the content that is wanted and was named on this machine before.

    Args:
        wanted: the file, with the hash that it had.
        whose: what names it, for the messages.

    Raises:
        ConfigError: where it is missing, changed, or was never named on this machine.
    """
    files = registry().files
    for file in files:
        if wanted.sha256 in ("", file.sha256) and (wanted.sha256 or file.path == wanted.path):
            return file
    for file in files:
        if file.path.name == wanted.path.name:
            warnings.warn(
                f"{whose} was made with another {wanted.path.name} ({wanted.short}, now {file.short}): "
                "what it gives may differ; restore that file where it must not",
                stacklevel=2,
            )
            return file
    found, content = _at_hand(wanted, whose)
    what = f"the plugin file {found.path} ({found.short})"
    if remembered(found.sha256) is None:
        raise ConfigError(
            f"{whose} names {what}, which nobody here has let run yet; read it, then give --plugin {found.path}"
        )
    warnings.warn(f"{whose} uses {what}", stacklevel=2)
    registry().add_file(found, content)
    return found


def _at_hand(wanted: PluginFile, whose: str) -> tuple[PluginFile, bytes]:
    """The wanted file where it lies, or where its content was when it was last named here; and its content."""
    named = remembered(wanted.sha256) if wanted.sha256 else None
    places = [PluginFile.read(place) for place in (wanted.path, named) if place and place.is_file()]
    for file, content in places:
        if wanted.sha256 in ("", file.sha256):
            return file, content
    what = f"the plugin file {wanted.path.name}" + (f" ({wanted.short})" if wanted.sha256 else "")
    if not places:
        raise ConfigError(f"{whose} needs {what}, which is not at hand; give --plugin FILE with a copy of it")
    other = places[0][0]
    raise ConfigError(
        f"{whose} needs {what}, and {other.path} is another now ({other.short}); restore it, "
        f"or give --plugin {other.path} to take it as it is"
    )


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
