"""Components: anything that is chosen by name, and the kinds of them."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar


class Component(ABC):
    """Anything that is chosen by name.

    A kind is a subclass that sets `kind` in its own body. All that ccigkit knows of a kind is declared there, once: the
    registry, the configuration, the command line, training, saving and `ccigkit.testing` read it. A component is a
    subclass of a kind with a `name`. Its constructor is written `def __init__(self, <wiring>, *, <options>)`: the
    wiring comes from ccigkit, the options from the user.
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    former_names: ClassVar[tuple[str, ...]] = ()
    """Names that the component had in earlier versions; they find it still, with a warning."""
    former: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Names that its options had in earlier versions: {former name: name now}; they are taken still, with a warning."""
    wiring: ClassVar[tuple[str, ...]] = ()
    """What ccigkit passes, by name. The name of another kind stands for that kind's chosen component."""
    default: ClassVar[str] = ""
    """The component of this kind that a configuration has unless it says otherwise; none where no run has any."""
    flag: ClassVar[str] = ""
    """What `--KIND NAME` says of itself in the help of the command line."""
    backbone: ClassVar[bool] = False
    """Whether `--backbone NAME` chooses it, with all the other kinds of which that is so."""
    saved: ClassVar[bool] = False
    """Whether it is part of a finished model, and its state is in the model's file."""
    averaged: ClassVar[bool] = False
    """Whether a finished model has the running average of its weights."""

    @classmethod  # noqa: B027  a kind may have no laws
    def contract(cls, build: Callable[..., Any], lab: Any) -> None:
        """Hold `build(*wiring)`, an instance of a component of this kind, to the laws of the kind.

        Args:
            build: the component's class with its options filled in.
            lab: `ccigkit.testing`, whose toys the laws are tried on.

        Raises:
            AssertionError: naming the law that does not hold.
        """


def kind_of(component: type) -> type[Component] | None:
    """The kind that a class is of, or is; None where it is of none."""
    return next((base for base in component.__mro__ if "kind" in vars(base)), None)


def is_kind(component: type) -> bool:
    """Whether a class declares a kind, and is no component of one."""
    return "kind" in vars(component) and "name" not in vars(component)
