"""What the API answers is what the library answers; what is asked amiss is told in a sentence."""

from __future__ import annotations

import base64
import io
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ccigkit_studio import schema
from ccigkit_studio.answers import GRAPHS, UPLOADS, Studio
from ccigkit_studio.api import create_app
from ccigkit_studio.pictures import png
from fastapi.testclient import TestClient
from PIL import Image

import ccigkit
from ccigkit import CausalImageModel
from ccigkit.data.base import RenderedData
from ccigkit.errors import CheckpointError
from ccigkit.images import to_bytes, to_float

Pictures = Callable[..., bytes]


def asked(client: TestClient, what: str, **question: Any) -> Any:
    answer = client.post(f"/api/{what}", json=question)
    assert answer.status_code == 200, answer.text
    return answer.json()


def pixels(address: str) -> np.ndarray:
    assert address.startswith("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


def in_bytes(image: torch.Tensor) -> np.ndarray:
    return to_bytes(image).permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def model(run: Path) -> CausalImageModel:
    loaded = ccigkit.load(run)
    assert isinstance(loaded, CausalImageModel)
    return loaded


def test_the_facts_are_the_models(client: TestClient, model: CausalImageModel) -> None:
    facts = client.get("/api/model").json()
    assert [a["name"] for a in facts["attributes"]] == list(model.attributes.names)
    assert [(a["low"], a["high"]) for a in facts["attributes"]] == [(a.low, a.high) for a in model.attributes]
    assert [(e["cause"], e["effect"]) for e in facts["graph"]["edges"]] == model.graph.edges
    assert facts["graph"]["places"].keys() == set(model.attributes.names)
    assert facts["truth"]
    assert facts["tests"] > 0


def test_a_counterfactual_is_the_librarys(client: TestClient, model: CausalImageModel, studio: Studio) -> None:
    answer = asked(client, "counterfactual", picture="test-1", do=["angle=0.3"])
    assert studio.test is not None
    image = to_float(studio.test.images[1])
    assert np.array_equal(pixels(answer["image"]), in_bytes(image))
    assert np.array_equal(pixels(answer["drawn"]), in_bytes(model.reconstruct(image)))
    assert np.array_equal(pixels(answer["answer"]), in_bytes(model.counterfactual(image, {"angle": 0.3})))
    after = {value["name"]: value["value"] for value in answer["after"]}
    assert after["angle"] == pytest.approx(0.3, abs=1e-5)


def test_the_true_answer_is_the_data_sets(client: TestClient, studio: Studio) -> None:
    answer = asked(client, "counterfactual", picture="test-2", do=["angle=0.3"])
    assert isinstance(studio.data, RenderedData)
    assert studio.test is not None
    assert studio.test.noise is not None
    true = studio.data.counterfactual(studio.test.noise[2:3], {"angle": torch.tensor([0.3], dtype=torch.float64)})
    assert np.array_equal(pixels(answer["truth"]), true.images[0].permute(1, 2, 0).numpy())
    assert [value["value"] for value in answer["true"]] == pytest.approx(true.values[0].tolist())


def test_do_on_a_cause_moves_its_effects_and_on_an_effect_leaves_its_causes(
    client: TestClient, model: CausalImageModel
) -> None:
    cause, effect = model.graph.edges[0]
    values = {}
    for name in (cause, effect):
        attribute = model.attributes[model.attributes.index(name)]
        far = attribute.low + 0.9 * (attribute.high - attribute.low)
        answer = asked(client, "counterfactual", picture="test-0", do=[f"{name}={far}"])
        old, new = ({v["name"]: v["value"] for v in answer[when]} for when in ("before", "after"))
        values[name] = {other for other in old if old[other] != new[other]}
        assert answer["cut"] == [[parent, name] for parent in model.graph.parents(name)]
    assert values[cause] <= {cause, *model.graph.descendants(cause)}
    assert effect in values[cause]
    assert cause not in values[effect]


def test_the_command_and_the_python_give_the_same_picture(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Path
) -> None:
    from unittest.mock import patch

    from ccigkit.commands.app import main

    monkeypatch.chdir(tmp_path)
    answer = asked(client, "counterfactual", picture="test-1", do=["angle=0.3", "light-=0.1"])
    Image.fromarray(pixels(answer["image"])).save("picture.png")
    words = shlex.split(answer["command"])
    with patch("sys.argv", words), pytest.raises(SystemExit) as done:
        main()
    assert not done.value.code
    (written,) = [file for file in tmp_path.glob("*.png") if file.name != "picture.png"]
    assert np.array_equal(np.asarray(Image.open(written).convert("RGB")), pixels(answer["answer"]))
    exec(compile(answer["python"], "copied", "exec"), {})
    assert np.array_equal(np.asarray(Image.open("answer.png").convert("RGB")), pixels(answer["answer"]))


def test_the_python_of_an_edited_graph_gives_the_same_picture(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: CausalImageModel
) -> None:
    monkeypatch.chdir(tmp_path)
    edges = model.graph.edges[1:]
    graph = asked(client, "graphs", edges=edges)
    assert [[e["cause"], e["effect"]] for e in graph["edges"]] == [list(edge) for edge in edges]
    assert graph["verdict"]
    cause = model.graph.edges[0][0]
    answer = asked(client, "counterfactual", picture="test-1", do=[f"{cause}+=0.05"], graph=graph["id"])
    Image.fromarray(pixels(answer["image"])).save("picture.png")
    exec(compile(answer["python"], "copied", "exec"), {})
    assert np.array_equal(np.asarray(Image.open("answer.png").convert("RGB")), pixels(answer["answer"]))


def test_an_edited_graph_moves_what_it_says(client: TestClient, model: CausalImageModel) -> None:
    cause, effect = model.graph.edges[0]
    graph = asked(client, "graphs", edges=[], hidden=[[cause, effect]])
    attribute = model.attributes[model.attributes.index(cause)]
    answer = asked(client, "counterfactual", picture="test-0", do=[f"{cause}={attribute.high}"], graph=graph["id"])
    moved = [b["name"] for b, a in zip(answer["before"], answer["after"], strict=True) if b["value"] != a["value"]]
    assert moved == [cause], "without an arrow nothing follows"
    assert [edge["hidden"] for edge in graph["edges"]] == [True]


def test_a_cycle_is_refused_by_name(client: TestClient, model: CausalImageModel) -> None:
    cause, effect = model.graph.edges[0]
    answer = client.post("/api/graphs", json={"edges": [[cause, effect], [effect, cause]]})
    assert answer.status_code == 422
    assert "cycle" in answer.json()["detail"]


def test_an_own_picture_is_read_as_the_command_reads_it(
    client: TestClient, model: CausalImageModel, tmp_path: Path, picture: Pictures
) -> None:
    taken = client.post("/api/pictures", content=picture()).json()["id"]
    answer = asked(client, "counterfactual", picture=taken)
    (tmp_path / "own.png").write_bytes(picture())
    assert np.array_equal(pixels(answer["image"]), in_bytes(ccigkit.read_image(tmp_path / "own.png", model)))
    assert answer["truth"] is None
    assert answer["labels"] is None
    assert np.array_equal(pixels(answer["answer"]), pixels(answer["image"])), "nothing is done yet"


def test_samples_are_the_librarys_and_can_be_asked_about(client: TestClient, model: CausalImageModel) -> None:
    drawn = asked(client, "sample", n=1, seed=5, do=["angle=0.2"])
    assert np.array_equal(pixels(drawn["images"][0]), in_bytes(model.sample(1, {"angle": 0.2}, seed=5)[0]))
    answer = asked(client, "counterfactual", picture="new-5")
    assert np.array_equal(pixels(answer["image"]), in_bytes(model.sample(1, seed=5)[0]))


def test_codes_are_the_librarys(client: TestClient, model: CausalImageModel, studio: Studio) -> None:
    assert studio.test is not None
    codes, found = model.abduct(to_float(studio.test.images[:1])), asked(client, "abduct", picture="test-0")
    assert found["noise"] == pytest.approx(codes.u[0].tolist())
    assert found["latents"] == pytest.approx(codes.z[0].tolist())


def test_a_strip_goes_all_over_the_range_under_the_other_interventions(
    client: TestClient, model: CausalImageModel, studio: Studio
) -> None:
    strip = asked(client, "along", picture="test-0", attribute="angle", do=["light=1", "angle=0.2"], n=3)
    angle = model.attributes[model.attributes.index("angle")]
    assert studio.test is not None
    image = to_float(studio.test.images[0])
    for value, found in zip((angle.low, (angle.low + angle.high) / 2, angle.high), strip["images"], strict=True):
        expected = in_bytes(model.counterfactual(image, {"light": 1, "angle": value}))
        assert np.abs(pixels(found).astype(int) - expected).max() <= 1


def test_seeing_selects_rows_and_doing_sets_them(client: TestClient, studio: Studio) -> None:
    assert studio.table is not None
    values, names = studio.table.values, studio.table.names
    angle = float(np.median(values[:, names.index("angle")]))
    seen = asked(client, "see", given=[f"angle={angle}"])
    by = {one["who"]: one for one in seen["found"]}
    at = names.index("angle")
    near = np.abs(values[:, at] - angle) <= 0.05 * (values[:, at].max() - values[:, at].min())
    assert by["seen"]["rows"] == near.sum()
    assert by["seen"]["means"] == pytest.approx(values[near].mean(axis=0).tolist())
    assert by["all"]["means"] == pytest.approx(values.mean(axis=0).tolist())
    assert by["done"]["means"][at] == pytest.approx(angle)
    assert by["true"]["means"][at] == pytest.approx(angle)


@pytest.mark.parametrize(
    ("what", "question", "said"),
    [
        ("counterfactual", {"picture": "test-0", "do": ["nobody=1"]}, "unknown attribute 'nobody'"),
        ("counterfactual", {"picture": "test-0", "do": ["angle=99"]}, "is outside"),
        ("counterfactual", {"picture": "test-0", "do": ["angle"]}, "is not NAME=VALUE"),
        ("counterfactual", {"picture": "test-0", "other": 1}, "other: Extra inputs"),
        ("along", {"picture": "test-0", "attribute": "nobody"}, "unknown attribute 'nobody'"),
        ("see", {"given": ["angle+=0.1"]}, "can be done but not seen"),
    ],
)
def test_what_is_asked_amiss_is_told_in_a_sentence(client: TestClient, what: str, question: Any, said: str) -> None:
    answer = client.post(f"/api/{what}", json=question)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("name", ["own-nothing", "test-999999", "test--1", "new-x", "elsewhere"])
def test_a_picture_that_is_not_there_is_not_found(client: TestClient, name: str) -> None:
    assert client.post("/api/counterfactual", json={"picture": name}).status_code == 404


def test_training_is_shown_with_its_samples(client: TestClient) -> None:
    training = client.get("/api/training").json()
    assert (training["step"], training["steps"], training["running"]) == (3, 3, False)
    assert training["samples"] == [2]
    assert client.get("/api/training/samples/2").content.startswith(b"\x89PNG")
    assert client.get("/api/training/samples/3").status_code == 404


def test_a_run_without_a_model_yet_says_so_and_answers_once_it_has_one(run: Path, tmp_path: Path) -> None:
    young = tmp_path / "young"
    young.mkdir()
    shutil.copy(run / "config.toml", young)
    with TestClient(create_app(Studio(young)), base_url="http://localhost") as client:
        answer = client.get("/api/model")
        assert answer.status_code == 503
        assert "no model yet" in answer.json()["detail"]
        assert client.get("/api/training").json()["log"] == []
        shutil.copy(run / "model.safetensors", young)
        assert client.get("/api/model").json()["version"] == 1


def test_a_new_checkpoint_is_read(run: Path, tmp_path: Path) -> None:
    import os

    grown = tmp_path / "grown"
    shutil.copytree(run, grown)
    studio = Studio(grown)
    first = studio.counterfactual(schema.Question(picture="test-0"))
    os.utime(grown / "model.safetensors", (1, 1))
    assert studio.counterfactual(schema.Question(picture="test-0")).version == first.version + 1


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds neither a run nor a model"):
        Studio(tmp_path)


def test_what_is_kept_is_bounded(run: Path, picture: Pictures) -> None:
    studio = Studio(run)
    names = [studio.take(picture()) for _ in range(UPLOADS + 1)]
    assert len(studio.uploads.things) == UPLOADS
    assert names[0] not in studio.uploads.things
    for n in range(GRAPHS + 1):
        studio.graphs.put(str(n), object())  # type: ignore[arg-type]
    assert len(studio.graphs.things) == GRAPHS
    assert png(torch.zeros(1, 4, 4)).startswith(b"\x89PNG"), "grey pictures, too"


def test_plugins_bring_pages_and_a_broken_one_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from ccigkit_studio import pages

    def names(model: CausalImageModel) -> str:
        return f"<p>{', '.join(model.attributes.names)}</p>"

    def fails(model: CausalImageModel) -> str:
        raise ValueError("<none>")

    def broken() -> Any:
        raise KeyError("page")

    mine = SimpleNamespace(ccigkit_studio_pages=lambda: [{"Names": names, "Fails": fails}])
    theirs = SimpleNamespace(ccigkit_studio_pages=broken)
    plugins = [SimpleNamespace(name=n, hooks=h) for n, h in (("theirs", theirs), ("mine", mine), ("none", None))]
    monkeypatch.setattr(pages, "load_plugins", lambda: plugins)
    with TestClient(create_app(Studio(run)), base_url="http://localhost") as client:
        with pytest.warns(UserWarning, match="the pages of plugin 'theirs' are left out: KeyError"):
            assert client.get("/api/model").json()["pages"] == ["Names", "Fails"]
        assert "<p>angle, light, length, position</p>" in client.get("/pages/0").text
        assert "This page failed: ValueError: &lt;none&gt;" in client.get("/pages/1").text
        assert client.get("/pages/2").status_code == 404
        assert "script-src" not in client.get("/pages/0").headers["content-security-policy"]
