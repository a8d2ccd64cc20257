"""What is asked and answered over HTTP, as the API's schema has it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Setting = Annotated[str, Field(max_length=300, examples=["Smiling=1"])]
Do = Annotated[
    list[Setting], Field(max_length=64, description="Interventions as --do has them: NAME=VALUE, NAME~P, NAME+=X.")
]
PictureId = Annotated[
    str,
    Field(max_length=64, description="test-ROW, new-SEED, or what an upload was given.", examples=["test-0", "new-7"]),
]
GraphId = Annotated[str | None, Field(max_length=64, description="An edited graph's; the model's own without.")]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Name = Annotated[str, Field(max_length=300)]


class Asked(BaseModel):
    """The base of every question: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Question(Asked):
    """A picture, and what is to be done."""

    picture: PictureId
    do: Do = []
    graph: GraphId = None
    seed: Annotated[Seed, Field(description="Of what the do() draws.")] = 0
    detail: Annotated[bool, Field(description="Keep what the generator cannot draw, where nothing changes.")] = True


class AlongQuestion(Asked):
    """A picture, and the attribute that is to take values all over its range."""

    picture: PictureId
    attribute: Name
    do: Do = []
    graph: GraphId = None
    n: Annotated[int, Field(ge=2, le=15)] = 7


class SampleQuestion(Asked):
    """How many new pictures, under which do()."""

    n: Annotated[int, Field(ge=1, le=32)] = 8
    do: Do = []
    seed: Seed = 0
    graph: GraphId = None


class SeeQuestion(Asked):
    """What is seen, and beside it done."""

    given: Annotated[list[Setting], Field(min_length=1, max_length=64, examples=[["Smiling=1"]])]
    graph: GraphId = None


class GraphQuestion(Asked):
    """A graph over the model's attributes."""

    edges: Annotated[list[tuple[Name, Name]], Field(max_length=2000, description="[cause, effect]")]
    hidden: Annotated[
        list[tuple[Name, Name]], Field(max_length=500, description="Pairs with a hidden common cause.")
    ] = []


class PictureQuestion(Asked):
    """A picture."""

    picture: PictureId
    graph: GraphId = None


class AttributeFacts(BaseModel):
    """An attribute, and what it can be set to."""

    name: str
    kind: Literal["binary", "categorical", "continuous"]
    unit: str
    low: float
    high: float
    categories: list[str]
    degrees: bool  # yes or no by degree


class EdgeFacts(BaseModel):
    """An arrow, or a dashed line where something hidden causes both."""

    cause: str
    effect: str
    strength: float
    hidden: bool = False
    evidence: str = ""
    way: list[tuple[float, float]] = []


class GraphFacts(BaseModel):
    """A graph as it is drawn: places in inches from the upper left, arrows as ways of points."""

    id: str | None
    places: dict[str, tuple[float, float]]
    edges: list[EdgeFacts]
    width: float
    height: float
    toml: str
    seconds: float = 0.0  # that the refit took
    verdict: str = ""  # what the table says of the graph


class TestPicture(BaseModel):
    """A picture of the test set."""

    id: str
    image: str
    caption: str


class ModelFacts(BaseModel):
    """The model, and what can be asked of it."""

    name: str
    run: str
    version: int  # another after each checkpoint of a run that trains
    attributes: list[AttributeFacts]
    graph: GraphFacts
    width: int
    height: int
    channels: int
    upload: int  # bytes that a picture may have
    tests: int  # test pictures there are
    truth: bool  # whether test pictures have a true counterfactual
    table: bool  # whether there is a table: to condition on, and to refit a graph to
    step: int | None
    note: str = ""
    pages: list[str] = []  # titles of what plugins bring, at /pages/NUMBER


class Value(BaseModel):
    """An attribute's value: a number (of a category its code), and as a person writes it."""

    name: str
    value: float
    said: str


class Answer(BaseModel):
    """A picture before and after; images are addresses that hold a PNG."""

    version: int
    image: str
    drawn: str
    answer: str
    truth: str | None
    before: list[Value]
    after: list[Value]
    true: list[Value] | None
    labels: list[Value] | None  # of a test picture, as the data set has them
    cut: list[tuple[str, str]]  # arrows into what is set
    command: str
    python: str


class Codes(BaseModel):
    """What a picture is made of: the noise u and the attributes z on the latent scale, and these in own units."""

    names: list[str]
    noise: list[float]
    latents: list[float]
    values: list[Value]


class Taken(BaseModel):
    """An upload."""

    id: str


class Along(BaseModel):
    """Pictures along the range of an attribute."""

    labels: list[str]
    images: list[str]


class Drawn(BaseModel):
    """New pictures; the first can be asked about by its id."""

    id: str
    images: list[str]
    values: list[list[Value]]


class Seen(BaseModel):
    """One way to come to a value: its pictures, and every attribute's mean."""

    who: Literal["all", "seen", "done", "true"]
    rows: int
    means: list[float]
    images: list[str]


class SeeAnswer(BaseModel):
    """The same question asked of the data and of the mechanisms."""

    names: list[str]
    ranges: list[tuple[float, float]]
    found: list[Seen]


class Training(BaseModel):
    """A run as it trains, or as it has trained."""

    step: int
    steps: int
    running: bool
    log: list[dict[str, float]]
    samples: list[int]
