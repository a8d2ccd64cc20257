"""Options: what a constructor's keyword-only parameters say of themselves.

The type of an option is its annotation, its default the signature's, its help the line of the class's `Args:` section
or of a base class's. There is no configuration class beside the class. Bounds and the option's role stand in the
annotation: `steps: Annotated[int, Ge(1), Role.BUDGET] = 2400`.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ConfigDict, TypeAdapter, ValidationError

from ccigkit.errors import ConfigError, one_of

SIGNS = {Ge: ("ge", "at least"), Gt: ("gt", "above"), Le: ("le", "at most"), Lt: ("lt", "below")}


class Role(Enum):
    """What an option decides, and so what may differ between two runs that are called the same."""

    MEANING = "what the result is"
    SEED = "which of many equal results it is"
    BUDGET = "how far it is worked out"
    PLACE = "where it happens: a device, a folder"
    UPKEEP = "how often it is saved and shown"

    @property
    def may_change(self) -> bool:
        """Whether a run can go on with another value."""
        return self in (Role.BUDGET, Role.PLACE, Role.UPKEEP)

    @property
    def tells_apart(self) -> bool:
        """Whether runs with other values are of different configurations, and no repetitions of one."""
        return self in (Role.MEANING, Role.BUDGET)


Natural = Annotated[int, Ge(0)]
Count = Annotated[int, Ge(1)]
Seed = Annotated[int, Role.SEED]
Weight = Annotated[float, Ge(0)]
Positive = Annotated[float, Gt(0)]
Fraction = Annotated[float, Gt(0), Lt(1)]
Folder = Annotated[str, Role.PLACE]
Share = Annotated[float, Ge(0), Le(1)]


@dataclass(frozen=True)
class Option:
    """One option of a component: its type, its default, its line of help and its role."""

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
            if self.range and first["type"] in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
                raise ConfigError(f"{where}={value} must be {self.range}") from None
            text = first["type"] == "string_type"
            remedy = f"; text that reads as a number goes in quotes: '\"{value}\"'" if text else ""
            raise ConfigError(f"{where}: {first['msg'].lower()}, got {value!r}{remedy}") from None

    @property
    def role(self) -> Role:
        """What the option decides."""
        return next((extra for extra in self._extras if isinstance(extra, Role)), Role.MEANING)

    @property
    def range(self) -> str:
        """The bounds of the option in words, "at least 0 and below 1"; empty where there are none."""
        bounds = [(SIGNS[type(extra)], extra) for extra in self._extras if type(extra) in SIGNS]
        return " and ".join(f"{words} {getattr(bound, field):g}" for (field, words), bound in bounds)

    @property
    def _extras(self) -> tuple[Any, ...]:
        return get_args(self.type)[1:] if get_origin(self.type) is Annotated else ()

    @property
    def type_name(self) -> str:
        """The type as a reader writes it, with its range."""
        plain = get_args(self.type)[0] if get_origin(self.type) is Annotated else self.type
        name = getattr(plain, "__name__", "") if isinstance(plain, type) else str(plain).replace("typing.", "")
        return f"{name}, {self.range}" if self.range else name


def options_of(component: type) -> dict[str, Option]:
    """The options of a class, by name, in the order of its constructor."""
    constructor = component.__init__  # type: ignore[misc]
    parameters = inspect.signature(constructor).parameters.values()
    options = [parameter for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    # Only the options' annotations are read at run time: those of the wiring may be imported for type checking alone.
    annotated = type("Options", (), {"__annotations__": {p.name: p.annotation for p in options}})
    hints = get_type_hints(annotated, globalns=constructor.__globals__, include_extras=True) if options else {}
    helps = _argument_helps(component)
    return {p.name: Option(p.name, hints[p.name], p.default, helps.get(p.name, "")) for p in options}


def resolve(component: type, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """All options of a class, the given ones validated and the rest at their defaults.

    An option's former name is taken too, with a warning.

    Raises:
        ConfigError: for an unknown option (with the nearest name), a value of a wrong type or out of its range, or an
            option given under its former name and its own.
    """
    options = options_of(component)
    given = _renamed(component, given, where)
    for key in given:
        if key not in options:
            raise ConfigError(f"{where}.{key}: " + one_of(f"option of {_named(component)}:", key, options))
    return {
        key: option.validate(given[key], f"{where}.{key}") if key in given else option.default
        for key, option in options.items()
    }


def _renamed(component: type, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The given options by the names that they have now."""
    former: Mapping[str, str] = getattr(component, "former", {})
    found: dict[str, Any] = {}
    for key, value in given.items():
        name = former.get(key, key)
        if name != key:
            warnings.warn(f"{where}.{key} is now called {where}.{name}; write that", FutureWarning, stacklevel=2)
        if name in found:
            raise ConfigError(f"{where}.{name} is given twice, once under its former name; give it once")
        found[name] = value
    return found


def _named(component: type) -> str:
    kind, name = getattr(component, "kind", ""), getattr(component, "name", "")
    return f"the {kind} {name!r}" if kind else name


def sentence(component: type) -> str:
    """The first sentence of a class's docstring."""
    return " ".join((inspect.getdoc(component) or "").split("\n\n")[0].split())


def _argument_helps(component: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for base in component.__mro__:  # the nearest class that says something of an option has the word
        text = inspect.cleandoc(base.__doc__ or "") if base is not object else ""
        _, _, section = text.partition("Args:\n")
        lines = re.findall(r"^ {4}(\w+): (.+(?:\n {8,}.+)*)", section, flags=re.MULTILINE)
        found = {name: " ".join(line.split()) for name, line in lines} | found
    return found
