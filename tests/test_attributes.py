"""Attributes: kinds, units, and the map to the latent scale and back."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ccigkit.attributes import SURE, Attribute, Attributes, Table, infer_kind, parse_do
from ccigkit.errors import ConfigError, DataError
from ccigkit.graph import CausalGraph

RNG = np.random.default_rng(0)
VALUES = np.stack(
    [
        RNG.uniform(-3, 40, 500),  # angle
        RNG.random(500),  # smiling, graded
        (RNG.random(500) < 0.3).astype(float),  # male, hard
        RNG.integers(0, 3, 500).astype(float),  # shape
    ],
    axis=1,
)
TABLE = Table.fit(
    [
        Attribute("angle", "continuous", unit="degrees"),
        Attribute("smiling", "binary"),
        Attribute("male", "binary"),
        Attribute("shape", "categorical", categories=("round", "square", "star")),
    ],
    VALUES,
)
ANGLE, SMILING, MALE, SHAPE = TABLE.attributes


def column(kind: str, values: list[float], **options: object) -> Attribute:
    return Attribute("x", kind, **options).fitted(np.asarray(values, dtype=float))  # type: ignore[arg-type]


# --- scales -----------------------------------------------------------------------------------------------------------


def test_latents_are_standardised() -> None:
    np.testing.assert_allclose(TABLE.latents.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(TABLE.latents.std(axis=0, ddof=1), 1, atol=1e-12)


def test_values_come_back_from_the_latent_scale() -> None:
    back = TABLE.attributes.to_values(torch.as_tensor(TABLE.latents)).numpy()
    sure = VALUES.copy()
    sure[:, 1:3] = sure[:, 1:3].clip(SURE, 1 - SURE)  # a binary value closer to 0 or 1 counts as this sure
    np.testing.assert_allclose(back, sure, atol=1e-12)


def test_a_single_row_and_a_batch_of_batches_are_mapped_alike() -> None:
    latents = TABLE.attributes.to_latent(torch.as_tensor(VALUES).reshape(5, 100, 4))
    np.testing.assert_array_equal(latents.reshape(500, 4), TABLE.latents)
    np.testing.assert_array_equal(TABLE.attributes.to_latent(torch.as_tensor(VALUES[7])), TABLE.latents[7])


def test_a_binary_latent_reads_as_a_probability() -> None:
    assert 0 <= float(MALE.to_value(torch.tensor(-50.0))) < float(MALE.to_value(torch.tensor(50.0))) <= 1
    assert float(SMILING.to_value(SMILING.to_latent(torch.tensor(0.5)))) == pytest.approx(0.5)


def test_ranges_are_those_of_the_rows() -> None:
    assert (ANGLE.low, ANGLE.high) == (VALUES[:, 0].min(), VALUES[:, 0].max())
    assert SMILING.high - SMILING.low < 1, "degrees"
    assert TABLE.attributes.ranges.tolist() == [pytest.approx(ANGLE.high - ANGLE.low), 1, 1, 2]


def test_attributes_survive_json() -> None:
    again = Attributes.from_json(json.loads(json.dumps(TABLE.attributes.to_json())))
    assert list(again) == list(TABLE.attributes)


def test_a_table_reorders_with_its_truth() -> None:
    names = list(TABLE.names)
    table = Table(TABLE.attributes, VALUES, CausalGraph.from_edges(names, ["male -> angle"])).reordered(names[::-1])
    np.testing.assert_array_equal(table.latents, TABLE.latents[:, ::-1])
    assert table.truth is not None
    assert table.truth.edges == [("male", "angle")]
    assert table.truth.names == table.names


# --- interventions ----------------------------------------------------------------------------------------------------


def test_a_continuous_intervention_is_in_own_units() -> None:
    assert float(ANGLE.to_value(ANGLE.intervention(12.5))) == pytest.approx(12.5)
    assert float(ANGLE.intervention(ANGLE.low)) == pytest.approx(TABLE.latents[:, 0].min())


def test_a_binary_intervention_is_the_median_of_those_who_have_it() -> None:
    smiling = TABLE.latents[VALUES[:, 1] > 0.5, 1]
    assert float(SMILING.intervention(1)) == pytest.approx(float(torch.as_tensor(smiling).median()))
    assert SMILING.intervention(0) < 0 < SMILING.intervention(1)
    assert float(MALE.intervention(1)) == pytest.approx(TABLE.latents[VALUES[:, 2] == 1, 2][0])  # hard: all alike


def test_a_categorical_intervention_is_its_code() -> None:
    codes = torch.arange(3).double()
    torch.testing.assert_close(SHAPE.intervention(codes).double(), SHAPE.to_latent(codes))


@pytest.mark.parametrize("attribute", TABLE.attributes, ids=TABLE.names)
def test_an_intervention_may_differ_by_image(attribute: Attribute) -> None:
    values = torch.tensor([1.0, 0.0, 1.0])
    one_by_one = torch.stack([attribute.intervention(float(value)) for value in values])
    assert torch.equal(attribute.intervention(values), one_by_one)


def test_a_category_that_no_row_has_can_still_be_set() -> None:
    attribute = column("categorical", [0, 2, 2, 0], categories=("a", "b", "c", "d"))
    assert attribute.levels == pytest.approx(attribute.to_latent(torch.arange(4).double()).tolist())


def test_a_binary_side_that_no_row_is_on_can_still_be_set() -> None:
    attribute = column("binary", [0.1, 0.2, 0.3])
    assert attribute.intervention(1) > attribute.intervention(0)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("angle", 90, "angle=90 is outside .* degrees, the range the model was trained on"),
        ("angle", float("nan"), "angle=nan is outside"),
        ("angle", float("inf"), "angle=inf is outside"),
        ("smiling", 0.5, "smiling is binary, so 0 or 1"),
        ("male", 2, "male=2 is impossible: male is binary, so 0 or 1"),
        ("male", -1, "male=-1 is impossible"),
        ("male", float("nan"), "male=nan is impossible"),
        ("male", torch.tensor([1.0, 0.0, 3.0]), "male=3 is impossible"),
        ("shape", 3, "shape is categorical, so one of round, square, star"),
    ],
)
def test_an_impossible_value_is_refused(name: str, value: float | torch.Tensor, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TABLE.attributes.interventions({name: value})


def test_interventions_are_by_position() -> None:
    assert TABLE.attributes.interventions({"male": 1}) == {2: MALE.intervention(1)}


# --- what cannot be learned from --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("continuous", [1, float("nan"), 2], "has 1 missing values"),
        ("continuous", [1, float("inf"), 2], "has 1 infinite values"),
        ("continuous", [4, 4, 4], r"x is constant \(4 in all 3 rows\); leave it out"),
        ("binary", [1, 1], "x is constant"),
        ("binary", [0, 0.01, 0.02], "does not vary enough"),
        ("binary", [-1, 1], "has values from -1 to 1; use 0 and 1"),
        ("categorical", [0, 0.5, 1], "must be the codes 0, 1, 2"),
        ("categorical", [-1, 1], "must be the codes 0, 1, 2"),
    ],
)
def test_a_column_at_odds_with_its_kind_is_refused(kind: str, values: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        column(kind, values)


def test_a_code_beyond_the_categories_is_refused() -> None:
    with pytest.raises(DataError, match="must be the codes"):
        column("categorical", [0, 1, 2], categories=("a", "b"))


def test_a_table_must_have_its_shape_and_its_rows() -> None:
    two = [Attribute("x", "continuous"), Attribute("y", "continuous")]
    with pytest.raises(DataError, match="at least two rows, got 1"):
        Table.fit(two, [[1.0, 2.0]])
    with pytest.raises(DataError, match=r"must be \[n, 2\], got \[2, 3\]"):
        Table.fit(two, np.ones((2, 3)))
    with pytest.raises(DataError, match="must be"):
        Table.fit(two, np.ones(2))
    with pytest.raises(DataError, match="named twice"):
        Table.fit([two[0], two[0]], RNG.random((5, 2)))


def test_an_unknown_name_is_one_clear_error() -> None:
    with pytest.raises(ConfigError, match="did you mean 'smiling'"):
        TABLE.attributes.index("Smilin")


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, 1], "binary"),
        ([0, 1, 2, 2], "categorical"),
        ([1, 2, 3], "continuous"),
        ([0.0, 0.5, 1.0], "continuous"),
        ([0, 1, float("nan")], "binary"),
        (list(range(40)), "continuous"),
    ],
)
def test_a_kind_is_inferred_from_values(values: list[float], kind: str) -> None:
    assert infer_kind(np.asarray(values, dtype=float)) == kind


def test_do_is_read_in_own_units() -> None:
    assert parse_do(["male=1", " angle = 3.5", "shape=square"], TABLE.attributes) == {
        "male": 1.0,
        "angle": 3.5,
        "shape": "square",
    }
    assert parse_do([], TABLE.attributes) == {}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("male", "--do 'male' is not NAME=VALUE, for example --do angle=1"),
        ("=1", "is not NAME=VALUE"),
        ("male=", "is not NAME=VALUE"),
        ("mal=1", "did you mean 'male'"),
        ("male=maybe", "'maybe' is not a value of the binary male"),
        ("shape=cube", "'cube' is not a value of the categorical shape"),
        ("male=0.5", "male is binary, so 0 or 1"),
        ("angle=1e9", "outside"),
        ("angle=nan", "outside"),
    ],
)
def test_a_do_that_cannot_be_read_is_refused(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_do([setting], TABLE.attributes)


def test_a_do_may_set_a_name_once() -> None:
    with pytest.raises(ConfigError, match="sets male twice"):
        parse_do(["male=1", "male=0"], TABLE.attributes)
