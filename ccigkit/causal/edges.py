"""An edge of a graph as people write it, "a -> b : 0.7" or "a <-> b", whatever the names hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from ccigkit.errors import GraphError, one_of
from ccigkit.names import number, quoted

Edge = str | Mapping[str, object]  # a line, or for odd names a table: {cause = "a", effect = "b", strength = 0.7}
Pair = frozenset[str]  # two attributes with a hidden common cause; for odd names {one = "a", other = "b"}
Reading = TypeVar("Reading", bound=tuple[object, ...])


def parse_edge(edge: Edge, names: Sequence[str] | None = None) -> tuple[str, str]:
    """One edge, "a -> b" or {"cause": "a", "effect": "b"}, as ("a", "b").

    Where a text holds several arrows, the known names decide which one separates cause and effect; without names, the
    first one does.

    Args:
        edge: the edge, as a line or as a table.
        names: the attributes that it may be between; any where none are given.

    Raises:
        GraphError: where it is no edge, a name is not among `names`, or they allow more than one reading.

    Examples:
        >>> parse_edge("a -> b")
        ('a', 'b')
        >>> parse_edge("x->y -> z", ["x->y", "z"])
        ('x->y', 'z')
    """
    if not isinstance(edge, str):
        cause, effect, _ = _from_table(edge)
    elif names is not None and (readings := list(dict.fromkeys(_ends(edge, names)))):
        cause, effect = _only(edge, readings)
    else:
        cause, arrow, effect = (part.strip() for part in edge.partition("->"))
        if not arrow or not cause or not effect:
            raise GraphError(f'{edge!r} is not an edge; write "cause -> effect"')
    for name in (cause, effect):
        if names is not None and name not in names:
            raise GraphError(one_of("attribute in an edge:", name, names))
    return cause, effect


def read_edge(edge: Edge, names: Sequence[str]) -> tuple[str, str, float]:
    """One edge with its strength, "a -> b : 0.7" or a table of cause, effect and strength, as ("a", "b", 0.7).

    Raises:
        GraphError: where it is no edge between names that are known, or they allow more than one reading.
    """
    if not isinstance(edge, str):
        return (*parse_edge(edge, names), _from_table(edge)[2])
    if readings := _weighed(edge, names):
        return _only(edge, readings)
    parse_edge(edge.partition(":")[0], names)  # says what is wrong, unless it is the strength
    raise GraphError(f"the edge {edge!r} has a strength that is not a number")


def _weighed(edge: str, names: Sequence[str]) -> list[tuple[str, str, float]]:
    """Every way to read "cause -> effect : strength"."""
    readings = [(*ends, 1.0) for ends in _ends(edge, names)]
    for arrow, text in _parted(edge, ":"):
        strength = number(text) if text.strip() else 1.0
        readings += [(*ends, strength) for ends in _ends(arrow, names) if strength is not None]
    return list(dict.fromkeys(readings))


def is_pair(edge: Edge, names: Sequence[str]) -> bool:
    """Whether an entry of a graph's edges is no edge but two attributes with a hidden common cause.

    Raises:
        GraphError: where the names allow it to be read as both.
    """
    if not isinstance(edge, str):
        return bool(edge.keys() & {"one", "other"})
    if "<->" not in edge or not (edges := _weighed(edge, names)):
        return "<->" in edge
    if any(_ends(edge, names, "<->")):
        raise GraphError(
            f"{edge!r} can be read as an edge and as a hidden common cause; write "
            f"{{ cause = {quoted(edges[0][0])}, effect = {quoted(edges[0][1])} }} or {{ one = ..., other = ... }}"
        )
    return False


def parse_pair(pair: Edge, names: Sequence[str] | None = None) -> Pair:
    """Two attributes with a hidden common cause, "a <-> b" or {"one": "a", "other": "b"}, as a set of the two.

    Raises:
        GraphError: where it is no such pair, a name is not among `names`, or they allow more than one reading.
    """
    if not isinstance(pair, str):
        if pair.keys() != {"one", "other"} or not all(isinstance(name, str) for name in pair.values()):
            raise GraphError(f'{dict(pair)!r} is no pair of attributes; write {{ one = "a", other = "b" }}')
        one, other = str(pair["one"]), str(pair["other"])
    elif names is not None and (readings := list(dict.fromkeys(_ends(pair, names, "<->")))):
        one, other = readings[0]
        if len(readings) > 1:
            raise GraphError(
                f"{pair!r} can be read in {len(readings)} ways; write "
                + " or ".join(f"{{ one = {quoted(a)}, other = {quoted(b)} }}" for a, b in readings)
            )
    else:
        one, arrow, other = (part.strip() for part in pair.partition("<->"))
        if not arrow or not one or not other:
            raise GraphError(f'{pair!r} is no hidden common cause of two attributes; write "a <-> b"')
    return pair_of(one, other, names)


def pair_of(one: str, other: str, names: Sequence[str] | None = None) -> Pair:
    """Two attributes as a pair.

    Raises:
        GraphError: where they are the same, or one of them is not among `names`.
    """
    for name in (one, other):
        if names is not None and name not in names:
            raise GraphError(one_of("attribute in a hidden common cause:", name, names))
    if one == other:
        raise GraphError(f"{one} <-> {other}: a hidden common cause is of two attributes, not of one")
    return frozenset((one, other))


def _only(edge: str, readings: Sequence[Reading]) -> Reading:
    if len(readings) > 1:
        ways = " or ".join(f"{{ cause = {quoted(str(way[0]))}, effect = {quoted(str(way[1]))} }}" for way in readings)
        raise GraphError(f"the edge {edge!r} can be read in {len(readings)} ways; write {ways}")
    return readings[0]


def _ends(text: str, names: Sequence[str], arrow: str = "->") -> Iterator[tuple[str, str]]:
    """Every way to read "cause -> effect", where names may hold arrows, too."""
    known = {**{name.strip(): name for name in names}, **{name: name for name in names}}
    for cause, effect in _parted(text, arrow):
        if cause.strip() in known and effect.strip() in known:
            yield known[cause.strip()], known[effect.strip()]


def _parted(text: str, mark: str) -> Iterator[tuple[str, str]]:
    """A text before and after each place where a mark stands."""
    at = text.find(mark)
    while at >= 0:
        yield text[:at], text[at + len(mark) :]
        at = text.find(mark, at + 1)


def _from_table(edge: Mapping[str, object]) -> tuple[str, str, float]:
    cause, effect, strength = edge.get("cause"), edge.get("effect"), edge.get("strength", 1.0)
    proper = isinstance(cause, str) and isinstance(effect, str) and isinstance(strength, int | float)
    proper = proper and not isinstance(strength, bool)
    if not proper or edge.keys() - {"cause", "effect", "strength"}:
        raise GraphError(f'{dict(edge)!r} is not an edge; write {{ cause = "a", effect = "b", strength = 0.7 }}')
    return str(cause), str(effect), float(str(strength))


def written_edge(cause: str, effect: str, strength: float, names: Sequence[str]) -> str:
    """An edge as TOML: a line, where reading that gives the same edge back, else a table; of strength 0 without it."""
    figure = f"{strength or 1:.6g}"
    line = f"{cause} -> {effect} : {figure}" if strength else f"{cause} -> {effect}"
    try:
        plain = not is_pair(line, names) and read_edge(line, names) == (cause, effect, float(figure))
    except GraphError:
        plain = False
    if plain:
        return quoted(line)
    return f"{{ cause = {quoted(cause)}, effect = {quoted(effect)}, strength = {figure} }}"


def written_pair(one: str, other: str, names: Sequence[str]) -> str:
    """A hidden common cause as TOML: a line, where reading that gives the same pair back, else a table."""
    line = f"{one} <-> {other}"
    try:
        plain = is_pair(line, names) and parse_pair(line, names) == {one, other}
    except GraphError:
        plain = False
    return quoted(line) if plain else f"{{ one = {quoted(one)}, other = {quoted(other)} }}"
