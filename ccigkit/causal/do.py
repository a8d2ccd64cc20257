"""What `--do` says: read as an intervention, and written back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ccigkit.causal.attributes import Attribute, Attributes, Said
from ccigkit.causal.interventions import Bernoulli, Categorical, Normal, Policy, Shift, soft_example
from ccigkit.errors import ConfigError, one_of
from ccigkit.names import number

SIGN = re.compile(r"\+=|-=|=|~")
NORMAL = re.compile(r"\s*[Nn]\s*\(([^,]*),([^,]*)\)\s*")


def parse_do(settings: Iterable[str], attributes: Attributes) -> dict[str, Said | Policy]:
    """["Smiling=1", "shape=square", "Young~0.3", "length+=2"] as {name: number, category or policy}.

    Behind a name stand `=VALUE`, as the table writes it; `~P`, a probability of 1; `~WORD:P,WORD:P`, one of each
    category; `~N(MEAN,SD)`; `+=X` or `-=X`.

    Args:
        settings: one text for each attribute that is set.
        attributes: those of the model.

    Raises:
        ConfigError: where a setting is none of these, or names an attribute or a value that does not exist.

    Examples:
        >>> from ccigkit import Table
        >>> parse_do(["sun=2.5", "ice+=1"], Table.of({"sun": [1.0, 4.0], "ice": [3.0, 9.0]}).attributes)
        {'sun': 2.5, 'ice': Shift(by=1.0, clip=False)}
    """
    do: dict[str, Said | Policy] = {}
    for setting in settings:
        name, sign, text = _parts(setting, attributes)
        if name in do:
            raise ConfigError(f"--do sets {name} twice")
        do[name] = _said(attributes[attributes.index(name)], sign, text)
    return do


def written(do: Mapping[str, Said | Policy]) -> str:
    """What is asked, as `--do` has it, settings after commas."""
    return ",".join(
        f"{name}{said}" if isinstance(said, Policy) else f"{name}={said if isinstance(said, str) else f'{said:.15g}'}"
        for name, said in do.items()
    )


def _parts(setting: str, attributes: Attributes) -> tuple[str, str, str]:
    """NAME, sign and rest; the name may have signs in it: the longest name that is known, if the rest can be said."""
    known = {**{name.strip(): name for name in attributes.names}, **{name: name for name in attributes.names}}
    cuts = [(at, sign) for at in range(len(setting)) for sign in ("+=", "-=", "=", "~") if setting.startswith(sign, at)]
    parts = [(setting[:at], sign, setting[at + len(sign) :]) for at, sign in cuts]
    found = [(known[n.strip()], sign, text) for n, sign, text in parts if n.strip() in known and text.strip()]
    if found:
        return next((part for part in reversed(found) if _possible(*part, attributes)), found[-1])
    split = SIGN.search(setting)
    name, text = (setting[: split.start()].strip(), setting[split.end() :].strip()) if split else ("", "")
    if not name or not text:
        raise ConfigError(f"--do {setting!r} is not NAME=VALUE, for example --do {attributes.names[0]}=1")
    raise ConfigError(one_of("attribute", name, attributes.names))


def _possible(name: str, sign: str, text: str, attributes: Attributes) -> bool:
    try:
        _said(attributes[attributes.index(name)], sign, text)
    except ConfigError:
        return False
    return True


def _said(attribute: Attribute, sign: str, text: str) -> Said | Policy:
    """What stands behind an attribute's name, and can be done to it."""
    if sign == "=":
        code = attribute.coded(text)
        attribute.intervention(code)
        return attribute.categories[int(code)] if attribute.kind == "categorical" else float(code)
    policy = _drawn(attribute, text) if sign == "~" else _shifted(attribute, sign, text)
    policy.check(attribute)
    return policy


def _shifted(attribute: Attribute, sign: str, text: str) -> Policy:
    by = number(text)
    if by is None:
        raise ConfigError(f"{attribute.name}{sign}{text}: {text!r} is not a number to shift by")
    return Shift(-by if sign == "-=" else by)


def _drawn(attribute: Attribute, text: str) -> Policy:
    """What stands behind a ~."""
    if (probability := number(text)) is not None:
        return Bernoulli(probability)
    if pair := NORMAL.fullmatch(text):
        mean, deviation = (number(figure) for figure in pair.groups())
        if mean is not None and deviation is not None:
            return Normal(mean, deviation)
    if attribute.kind == "categorical" and (shares := _shares(text, attribute.categories)) is not None:
        return Categorical(shares)
    raise ConfigError(f"{attribute.name}~{text} draws from nothing known; for example {soft_example(attribute)}")


def _shares(text: str, categories: Sequence[str]) -> tuple[tuple[str, float], ...] | None:
    """CATEGORY:P,CATEGORY:P as pairs, where a category may have colons and commas in it; None where it is not that."""
    text = text.strip()
    for category in sorted(categories, key=len, reverse=True):
        rest = text.removeprefix(category).lstrip()
        if not text.startswith(category) or not rest.startswith(":"):
            continue
        figure, comma, others = rest[1:].partition(",")
        share, more = number(figure), _shares(others, categories) if comma else ()
        if share is not None and more is not None:
            return ((category, share), *more)
    return None
