"""From defaults, recipe, file and command line to one resolved configuration.

A configuration is a table per kind, {"scm": {"name": "linear", ...}, ...}, in TOML on disk. Later layers win:
defaults < recipe < file < named choices < KIND.OPTION=VALUE. A layer that names another component drops the options
that earlier layers set for the old one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from annotated_types import Ge, Lt

from ccigkit.causal.edges import parse_edge, parse_pair
from ccigkit.causal.graph import Knowledge
from ccigkit.causal.named import named_knowledge, read_named
from ccigkit.component.options import Count, Folder, Natural, Option, Role, Seed, options_of, resolve
from ccigkit.component.plugin_file import PluginFile
from ccigkit.component.registry import Choice, need_plugin, registry
from ccigkit.errors import ConfigError, one_of

Tables = dict[str, dict[str, Any]]
PLUGINS = "plugins"
"""In a configuration file beside its tables: the plugins of one file each that it needs."""


class Settings:
    """How to train, whatever is trained.

    Args:
        steps: training steps; a step plays every phase of the objective once.
        batch: images per step.
        latent: size of the latent, attributes and style together; 0 takes twice the attributes, at least 16.
        schedule: what becomes of the learned graph: freeze it, finetune its weights within the learned edges, or joint:
            learn it on with the images, of labels once more half-way, from what the encoder then reads.
        seed: seed of everything random.
        device: cpu, cuda, cuda:1, mps, or auto for the best there is.
        precision: float32, bfloat16, or auto: bfloat16 where the hardware is fast at it.
        ema: decay of the average of encoder and generator weights that the finished model uses.
        accumulate: in how many parts a step takes its batch, their gradients averaged: less memory, more time.
        processes: how many train together on this machine, each on its share of a batch; on GPUs one for each. Under
            torchrun or srun it is theirs to say.
        checkpoint_every: seconds between checkpoints.
        checkpoints: how many are kept: the newest, and those before it to fall back on.
        best: a term, as log.jsonl names it: the checkpoint with its least mean is kept in the folder best; empty takes
            held-out.distance, where training is watched.
        full_disk: seconds that training goes on while nothing can be written, as on a full disk.
        sample_every: steps between sample pictures; 0 for none.
        watch_every: steps between looks at held-out images, drawn in training.png; 0 for none.
        graphs: a folder of learned graphs that trainings share: one of the same table, learner and knowledge is taken
            from there; empty for none.
        track: trackers that are told the terms beside log.jsonl: tensorboard, wandb, trackio, or a plugin's.
    """

    name = "train"

    def __init__(
        self,
        *,
        steps: Annotated[Count, Role.BUDGET] = 2400,
        batch: Annotated[int, Ge(2)] = 16,
        latent: Natural = 0,
        schedule: Literal["freeze", "finetune", "joint"] = "finetune",
        seed: Seed = 0,
        device: Annotated[str, Role.PLACE] = "auto",
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        ema: Annotated[float, Ge(0), Lt(1)] = 0.998,
        accumulate: Annotated[Count, Role.PLACE] = 1,
        processes: Annotated[Count, Role.PLACE] = 1,
        checkpoint_every: Annotated[float, Ge(0), Role.UPKEEP] = 60.0,
        checkpoints: Annotated[Count, Role.UPKEEP] = 3,
        best: Annotated[str, Role.UPKEEP] = "",
        full_disk: Annotated[float, Ge(0), Role.UPKEEP] = 1800.0,
        sample_every: Annotated[Natural, Role.UPKEEP] = 500,
        watch_every: Annotated[Natural, Role.UPKEEP] = 100,
        graphs: Folder = "",
        track: Annotated[list[str], Role.UPKEEP] = [],  # noqa: B006  never written to
    ) -> None:
        self.steps, self.batch, self.latent, self.seed = steps, batch, latent, seed
        self.schedule, self.device, self.precision, self.ema = schedule, device, precision, ema
        self.checkpoint_every, self.sample_every, self.watch_every = checkpoint_every, sample_every, watch_every
        self.processes, self.accumulate = processes, accumulate
        self.checkpoints, self.best, self.full_disk, self.graphs = checkpoints, best, full_disk, graphs
        self.track = tuple(track)


class KnowledgeSettings:
    """What is known of the graph beforehand.

    Args:
        required: edges that must be there, as "cause -> effect", or for odd names as {cause = "a", effect = "b"}.
        forbidden: edges that must not be there.
        tiers: lists of attributes in causal order; nothing in a later list causes anything in an earlier one.
        roots: attributes that nothing causes.
        leaves: attributes that cause nothing.
        confounded: pairs with a hidden common cause and no arrow between them, as "a <-> b", or for odd names as
            {one = "a", other = "b"}.
        named: knowledge that comes along, by its name: celeba; ccigkit components lists it.
        from_data: whether to start from what the data set says is known of its attributes.
    """

    name = "knowledge"

    def __init__(
        self,
        *,
        required: list[str | dict[str, str]] = [],  # noqa: B006  never written to
        forbidden: list[str | dict[str, str]] = [],  # noqa: B006
        tiers: list[list[str]] = [],  # noqa: B006
        roots: list[str] = [],  # noqa: B006
        leaves: list[str] = [],  # noqa: B006
        confounded: list[str | dict[str, str]] = [],  # noqa: B006
        named: str = "",
        from_data: bool = True,
    ) -> None:
        self.from_data, self.required, self.forbidden = from_data, required, forbidden
        self.confounded, self.named = confounded, named
        self.tiers, self.roots, self.leaves = tuple(map(tuple, tiers)), frozenset(roots), frozenset(leaves)
        self.of(None)  # its own checks
        if named:
            read_named(named)

    def of(self, names: Sequence[str] | None) -> Knowledge:
        """The user's own knowledge of attributes; their names say which arrow of several is an edge's."""
        required, forbidden = (
            frozenset(parse_edge(edge, names) for edge in edges) for edges in (self.required, self.forbidden)
        )
        confounded = frozenset(parse_pair(pair, names) for pair in self.confounded)
        return Knowledge(required, forbidden, self.tiers, self.roots, self.leaves, confounded)

    def added_to(self, known: Knowledge, names: Sequence[str]) -> Knowledge:
        """The knowledge that a data set brings, with what is named and the user's own.

        The user's tiers replace the data set's.
        """
        own = self.of(names)
        if self.named:
            own = named_knowledge(self.named, names).joined(own)
        return known.joined(own) if self.from_data else own


SETTINGS: dict[str, type] = {settings.name: settings for settings in (Settings, KnowledgeSettings)}


@dataclass(frozen=True)
class Config:
    """A resolved configuration: every component chosen, every option filled in and of the right type."""

    choices: Mapping[str, Choice]
    train: Settings
    knowledge: KnowledgeSettings
    tables: Tables
    plugins: tuple[PluginFile, ...] = ()

    @classmethod
    def resolve(cls, layers: Iterable[tuple[str, Mapping[str, Mapping[str, Any]]]]) -> Config:
        """Merge (source, tables) layers, the later over the earlier, and validate.

        A layer may name plugins of one file, too: see `need_plugin`.

        Raises:
            ConfigError: in one line that names the source, the key and the value, and suggests the nearest name.
        """
        layers = list(layers)
        plugins = [need_plugin(file, source) for source, layer in layers for file in _plugins(source, layer)]
        found, merged, sources = registry(), _defaults(), dict[str, str]()
        names = [*found.chosen, *SETTINGS]
        for source, layer in layers:
            named = {kind: table for kind, table in layer.items() if kind != PLUGINS}
            for kind, table in _without_backbone(source, named).items():
                if kind not in names:
                    raise ConfigError(f"{source}: " + one_of("table", kind, (*names, "backbone")))
                old = merged.get(kind, {})
                merged[kind] = {**(old if table.get("name", old.get("name")) == old.get("name") else {}), **table}
                sources.update({f"{kind}.{key}": source for key in table})
        choices = {kind: Choice.of(kind, merged[kind]) for kind in found.chosen}
        settings = {kind: _settings(kind, merged.get(kind, {}), sources) for kind in SETTINGS}
        tables = {kind: choice.table for kind, choice in choices.items()} | settings
        used = {found.origins[choice.kind, choice.name].file for choice in choices.values()}
        plugins += [file for file in found.files if file.path in used]
        trained, known = Settings(**settings["train"]), KnowledgeSettings(**settings["knowledge"])
        return cls(choices, trained, known, tables, tuple(dict.fromkeys(plugins)))

    def __getitem__(self, kind: str) -> Choice:
        return self.choices[kind]

    def to_toml(self) -> str:
        """The whole configuration, to read, keep and hand back with --config."""
        tables = {kind: {k: v for k, v in table.items() if v is not None} for kind, table in self.tables.items()}
        plugins = {PLUGINS: [file.to_toml() for file in self.plugins]} if self.plugins else {}
        return tomli_w.dumps(plugins | tables)

    def options(self, kind: str) -> dict[str, Option]:
        """The options of a table, by name."""
        return options_of(self.choices[kind].component if kind in self.choices else SETTINGS[kind])

    def difference(self, other: Config) -> str | None:
        """The first key that another configuration sets differently, as "key is A there, B here", or None.

        Options whose role says that they may change as a run goes on (`Role`) are not compared.
        """
        for kind, table in self.tables.items():
            theirs, options = other.tables[kind], self.options(kind)
            for key in table:
                free = key in options and options[key].role.may_change
                if not free and table[key] != theirs.get(key):
                    return f"{kind}.{key} is {theirs.get(key)!r} there and {table[key]!r} here"
        return None

    @property
    def repeated(self) -> Tables:
        """The tables without what may differ between repetitions of one configuration: seeds, places, upkeep."""
        return {
            kind: {
                key: value for key, value in table.items() if key == "name" or self.options(kind)[key].role.tells_apart
            }
            for kind, table in self.tables.items()
        }


def _defaults() -> Tables:
    return {kind: {"name": registry().kinds[kind].default} for kind in registry().chosen}


def _plugins(source: str, layer: Mapping[str, Any]) -> list[PluginFile]:
    """The files that a layer names; a path is one from the folder of the file that names it."""
    entries = layer.get(PLUGINS, [])
    if not isinstance(entries, list):
        raise ConfigError(f'{source}: plugins must be a list of files, as in plugins = ["my_scm.py"], got {entries!r}')
    return [PluginFile.of(entry, Path(source).parent) for entry in entries]


def _settings(kind: str, table: Mapping[str, Any], sources: Mapping[str, str]) -> dict[str, Any]:
    options = options_of(SETTINGS[kind])
    for key in table:
        if key not in options:
            raise ConfigError(f"{sources[f'{kind}.{key}']}: " + one_of(f"option of {kind}:", key, options))
    return resolve(SETTINGS[kind], table, kind)


def _without_backbone(source: str, layer: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """A layer with `backbone` spelled out as the kinds that it chooses together."""
    for kind, table in layer.items():
        if not isinstance(table, Mapping):
            raise ConfigError(f"{source}: {kind} must be a table such as [{kind}], got {table!r}")
    backbone, kinds = layer.get("backbone", {}), registry().backbone
    whole = set.intersection(*(set(registry().names(kind)) for kind in kinds))
    if str(backbone.get("name", "")) not in {"", *whole}:
        raise ConfigError(f"{source}: " + one_of("backbone", str(backbone["name"]), whole))
    rest = {kind: table for kind, table in layer.items() if kind != "backbone"}
    return {
        **{kind: {**backbone, **rest.get(kind, {})} for kind in kinds if backbone},
        **{kind: table for kind, table in rest.items() if not (backbone and kind in kinds)},
    }


def read_toml(path: Path) -> Tables:
    """The tables of a configuration file.

    Raises:
        ConfigError: where the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None


def recipes() -> dict[str, str]:
    """The recipes that come along: name and first comment line."""
    found = sorted(files("ccigkit").joinpath("recipes").iterdir(), key=lambda path: path.name)
    return {p.name.removesuffix(".toml"): p.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for p in found}


def read_recipe(name: str) -> Tables:
    """The tables of a recipe that comes along.

    Raises:
        ConfigError: where there is none of that name.
    """
    if name not in recipes():
        raise ConfigError(one_of("recipe", name, recipes()))
    return tomllib.loads(files("ccigkit").joinpath("recipes", f"{name}.toml").read_text(encoding="utf-8"))


def parse_settings(settings: Iterable[str]) -> Tables:
    """["scm.hidden=64", "data.root=/my/faces"] as tables; a value is TOML where it can be, else text.

    Raises:
        ConfigError: where a setting is not KIND.OPTION=VALUE.
    """
    tables: Tables = {}
    for setting in settings:
        if any("\ud800" <= letter <= "\udfff" for letter in setting):  # bytes that were no UTF-8
            raise ConfigError(
                f"{setting!r} is not written in UTF-8, so no configuration can hold it; rename what it names"
            )
        key, equals, text = setting.partition("=")
        kind, dot, option = key.strip().partition(".")
        if not equals or not dot or not option:
            raise ConfigError(f"{setting!r} is not KIND.OPTION=VALUE, for example scm.hidden=64")
        try:
            content = tomllib.loads(f"value = {text}")
            value = content["value"] if len(content) == 1 else text
        except tomllib.TOMLDecodeError:
            value = text
        tables.setdefault(kind, {})[option] = value
    return tables
