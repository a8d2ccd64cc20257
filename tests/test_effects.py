"""Effects of a label: average, on the treated, necessity and sufficiency, against closed forms and exact answers."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ccigkit import CausalGraph, CausalModel, Table
from ccigkit.attributes import Attribute
from ccigkit.causal.effects import Effects, effects_of, event
from ccigkit.causal.interventions import Do
from ccigkit.causal.scm.linear import LinearSCM
from ccigkit.causal.scm.mixed import MixedSCM
from ccigkit.causal.structure import Structure
from ccigkit.errors import ConfigError, DataError

torch.set_num_threads(1)

RATES = {(0, 0): 0.1, (0, 1): 0.3, (1, 0): 0.5, (1, 1): 0.8}  # P(y | x, c): c makes x and y likelier, x makes y so
X_GIVEN_C, C = (0.2, 0.6), 0.5


@functools.cache
def labels(confounded: bool) -> Table:
    """Labels x, y and c, in exactly these rates; unconfounded, c touches neither x nor y."""
    n, cells = 8000, []
    for c in (0, 1):
        of_c = round(n * (C if c else 1 - C))
        treated = round(of_c * (X_GIVEN_C[c] if confounded else 0.4))
        for x, many in ((1, treated), (0, of_c - treated)):
            ones = round(many * (RATES[x, c] if confounded else (0.2, 0.7)[x]))
            cells += [(x, 1, c)] * ones + [(x, 0, c)] * (many - ones)
    found = np.array(cells, dtype=float)
    edges = ["x -> y", *(["c -> x", "c -> y"] if confounded else [])]
    return Table.fit([Attribute(n, "binary") for n in "xyc"], found, CausalGraph.from_edges(tuple("xyc"), edges))


@functools.cache
def fitted(confounded: bool) -> CausalModel:
    """The mixed model of the labels x, y and c."""
    table = labels(confounded)
    assert table.truth is not None
    torch.manual_seed(0)
    model = CausalModel(table.attributes, Structure(table.truth), MixedSCM(3))
    model.fit_mechanisms(torch.as_tensor(table.latents).float(), steps=400)
    return model


def test_without_confounding_all_equal_the_closed_forms_of_monotone_effects() -> None:
    """Pearl 2009, theorem 9.2.14: exogenous and monotone."""
    model, table, (p0, p1) = fitted(False), labels(False), (0.2, 0.7)
    found = model.effects(table, "x", "y")
    assert found.observed == pytest.approx((p0, p1))
    assert found.under == pytest.approx((p0, p1), abs=0.01)
    assert model.average_effect(table, "x", "y") == pytest.approx(p1 - p0, abs=0.01)
    assert model.effect_on_treated(table, "x", "y") == pytest.approx(p1 - p0, abs=0.01)
    assert model.probability_of_necessity(table, "x", "y") == pytest.approx((p1 - p0) / p1, abs=0.01)
    assert model.probability_of_sufficiency(table, "x", "y") == pytest.approx((p1 - p0) / (1 - p0), abs=0.01)
    assert model.probability_of_necessity_and_sufficiency(table, "x", "y") == pytest.approx(p1 - p0, abs=0.01)


def test_with_a_confounder_they_are_those_of_its_strata_weighed() -> None:
    found = fitted(True).effects(labels(True), "x", "y")
    share = {(x, c): 0.5 * (X_GIVEN_C[c] if x else 1 - X_GIVEN_C[c]) for x in (0, 1) for c in (0, 1)}
    effect = {c: RATES[1, c] - RATES[0, c] for c in (0, 1)}
    treated = share[1, 0] + share[1, 1]
    ate = sum(effect.values()) / 2
    ett = sum(share[1, c] * effect[c] for c in (0, 1)) / treated
    necessary = sum(share[1, c] * effect[c] for c in (0, 1)) / sum(share[1, c] * RATES[1, c] for c in (0, 1))
    enough = sum(share[0, c] * effect[c] for c in (0, 1)) / sum(share[0, c] * (1 - RATES[0, c]) for c in (0, 1))
    assert found.average == pytest.approx(ate, abs=0.01)
    assert found.on_treated == pytest.approx(ett, abs=0.01)
    assert found.necessity == pytest.approx(necessary, abs=0.015)
    assert found.sufficiency == pytest.approx(enough, abs=0.015)
    assert abs(found.observed[1] - found.observed[0] - ate) > 0.05  # what is seen is not what is done


def test_the_absence_of_a_label_is_a_cause_as_its_presence_is() -> None:
    model, table = fitted(False), labels(False)
    there, gone = model.effects(table, "x", "y"), model.effects(table, "x=0", "y=0")
    assert gone.treated == len(table.values) - there.treated
    assert gone.necessity == pytest.approx(there.sufficiency)
    assert gone.sufficiency == pytest.approx(there.necessity)
    assert gone.average == pytest.approx(there.average)
    upside = model.effects(table, "x", "y=0")  # x keeps y = 0 from being: it never makes it
    assert upside.necessity == pytest.approx(0, abs=0.01)
    assert upside.average == pytest.approx(-there.average)


def test_a_number_has_an_average_effect_alone_and_any_scm_gives_it() -> None:
    random = np.random.default_rng(0)
    c = random.integers(0, 2, 4000)
    x = random.random(4000) < 0.2 + 0.6 * c
    weight, y = 3.0 * x + 2 * c + random.normal(0, 0.5, 4000), random.random(4000) < 0.2 + 0.6 * x
    table = Table.of({"x": x * 1.0, "y": y * 1.0, "c": c * 1.0, "w": weight})
    graph = CausalGraph.from_edges(table.names, ["x -> y", "c -> x", "x -> w", "c -> w"])
    model = CausalModel(table.attributes, Structure(graph), LinearSCM(4)).fit(table)
    found = model.effects(table, "x", "w")
    assert found.average == pytest.approx(3, abs=0.15)
    assert found.on_treated == pytest.approx(3, abs=0.15)
    assert found.observed[1] - found.observed[0] > 4  # confounded
    assert math.isnan(found.necessity)
    for effect in ("w=1", "x=2"):
        with pytest.raises(ConfigError, match=r"name the attribute alone, w|x is binary, so 0 or 1"):
            model.effects(table, "x", effect)
    with pytest.raises(ConfigError, match="w is not yes or no"):
        model.effects(table, "w", "y")
    with pytest.raises(ConfigError, match="the SCM linear has no probability of y, its noise is additive; fit with"):
        model.effects(table, "x", "y")


def test_what_a_label_does_not_cause_it_does_not_affect() -> None:
    found = fitted(True).effects(labels(True), "y", "c")
    assert (found.average, found.on_treated, found.necessity, found.both) == (0, 0, 0, 0)


@settings(max_examples=50, deadline=None)
@given(shares=st.lists(st.integers(1, 50), min_size=8, max_size=8))
def test_the_exact_answers_of_any_population_lie_between_the_bounds(shares: list[int]) -> None:
    """Of each row both outcomes are known: its type (Y_0, Y_1), anything but monotone, and X may depend on it."""
    types = [(x, y0, y1) for x in (0, 1) for y0 in (0, 1) for y1 in (0, 1)]
    known = torch.tensor([t for t, n in zip(types, shares, strict=True) for _ in range(n)]).double()
    x, y0, y1 = known.T
    y = torch.where(x == 1, y1, y0)
    attributes = Table.of({"x": [0, 1], "y": [0, 1]}).attributes

    class Oracle:
        def __init__(self) -> None:
            self.attributes = attributes

        def probability(
            self, values: torch.Tensor, do: Do, name: str, *, seed: int = 0, draws: int = 64
        ) -> torch.Tensor:
            to = float(do["x"])  # type: ignore[arg-type]
            one = (y1 if to else y0)[x != to]
            return torch.stack([1 - one, one], dim=1)

        def counterfactual(self, values: torch.Tensor, do: Do, *, seed: int = 0) -> torch.Tensor:
            raise AssertionError

    found = effects_of(Oracle(), torch.stack([x, y], dim=1), "x", "y")
    exact = (
        float((1 - y0)[(x == 1) & (y == 1)].mean()),
        float(y1[(x == 0) & (y == 0)].mean()),
        float((y1 * (1 - y0)).mean()),
    )
    assert (found.necessity, found.sufficiency, found.both) == pytest.approx(exact)
    assert found.under == pytest.approx((float(y0.mean()), float(y1.mean())))
    assert found.on_treated == pytest.approx(float((y1 - y0)[x == 1].mean()))
    for value, (least, most) in zip(exact, found.bounds, strict=True):
        assert least - 1e-9 <= value <= most + 1e-9


def test_where_no_row_tells_there_is_no_figure() -> None:
    found: Effects = fitted(False).effects(torch.tensor([[0.0, 1, 0], [0, 0, 1]]), "x", "y")
    assert math.isnan(found.necessity)
    assert math.isnan(found.on_treated)
    assert found.sufficiency == pytest.approx(0.5 / 0.8, abs=0.02)


@pytest.mark.parametrize(
    ("cause", "effect", "reason"),
    [
        ("x", "x", "x is cause and effect in one"),
        ("z", "y", "unknown attribute 'z'"),
        ("x=2", "y", "x is binary, so 0 or 1"),
        ("x~0.3", "y", "unknown attribute 'x~0.3'"),
    ],
)
def test_what_has_no_effect_to_tell_is_one_line(cause: str, effect: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        fitted(False).effects(labels(False), cause, effect)
    assert "\n" not in str(refused.value)


def test_degrees_are_numbers() -> None:
    degrees = np.random.default_rng(0).random((400, 1))
    x = degrees > np.random.default_rng(1).random((400, 1))
    table = Table.fit([Attribute("x", "binary"), Attribute("d", "binary")], np.hstack([x, degrees]))
    graph = CausalGraph.from_edges(table.names, ["x -> d"])
    model = CausalModel(table.attributes, Structure(graph), LinearSCM(2)).fit(table)
    assert model.average_effect(table, "x", "d") > 0.1
    with pytest.raises(ConfigError, match="d=0: d was seen as degrees, not as a label; name it alone, d"):
        model.effects(table, "x", "d=0")


def test_no_rows_have_no_effect() -> None:
    with pytest.raises(DataError, match="there are none"):
        fitted(False).effects(torch.zeros(0, 3), "x", "y")


def test_a_category_is_an_effect_by_its_name() -> None:
    attributes = Table.fit(
        [Attribute("s", "categorical", categories=("flat", "round")), Attribute("a=1", "binary")],
        np.array([[0.0, 0], [1, 1]]),
    ).attributes
    assert event("s=round", attributes) == ("s", 1.0)
    assert event("a=1", attributes) == ("a=1", 1.0)
    assert event("a=1=0", attributes) == ("a=1", 0.0)
    with pytest.raises(ConfigError, match="s is categorical; say which, for example s=round"):
        event("s", attributes)
