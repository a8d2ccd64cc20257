"""Tar shards: decoded into the cache, or streamed, every sample exactly once however many processes share them."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from contextlib import nullcontext
from functools import partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ccigkit import testing
from ccigkit.causal.model import CausalModel
from ccigkit.commands import train
from ccigkit.commands.config import Config, parse_settings
from ccigkit.component.options import options_of
from ccigkit.component.registry import signature_fault
from ccigkit.data import sharded
from ccigkit.data.celeba import CelebA
from ccigkit.data.sharded import Shards
from ccigkit.errors import DataError
from ccigkit.training.batches import batch_rows
from tests.celeba_folder import faces, write_celeba
from tests.data_folders import write_shards
from tests.helpers import SILENT, assert_same, environment

ATTRIBUTES = ["Smiling", "Male", "Young"]
SIZES = (12, 3, 10, 9, 1, 5)

READER = """
import json, sys
from torch.utils.data import DataLoader
from ccigkit.data.sharded import Shards

def names(samples):
    return [sample.name for sample in samples]

if __name__ == "__main__":
    root, cache, workers = sys.argv[1:]
    data = Shards(root=root, cache=cache, attributes=["Smiling"], size=8)
    epochs = []
    for epoch in range(2):
        loader = DataLoader(data.stream("train", epoch=epoch), batch_size=4, collate_fn=names, num_workers=int(workers))
        epochs.append([name for batch in loader for name in batch])
    print(json.dumps(epochs))
"""


@pytest.fixture
def shards(tmp_path: Path) -> Callable[..., Shards]:
    return lambda **options: Shards(
        **{
            "root": str(tmp_path / "shards"),
            "cache": str(tmp_path / "cache"),
            "attributes": ATTRIBUTES,
            "size": 16,
            **options,
        }
    )


@pytest.mark.parametrize("streamed", [False, True])
def test_is_a_component_and_keeps_the_contract(tmp_path: Path, streamed: bool) -> None:
    assert signature_fault(Shards) is None
    assert all(option.help for option in options_of(Shards).values())
    root, cache = str(write_shards(tmp_path / "shards")), str(tmp_path / "cache")
    testing.check(Shards, root=root, cache=cache, attributes=ATTRIBUTES, size=16, streamed=streamed)


def test_shards_give_the_tensors_of_celeba(tmp_path: Path, shards: Callable[..., Shards]) -> None:
    write_shards(tmp_path / "shards", test=1)
    write_celeba(tmp_path / "celeba", partition="0" * 31 + "2" * 9)
    celeba = CelebA(root=str(tmp_path), attributes=ATTRIBUTES, cache=str(tmp_path / "cache"), size=16)
    for split in ("train", "test"):
        one, two = shards(crop="dear").load(split), celeba.load(split)
        assert torch.equal(one.images, two.images)
        np.testing.assert_array_equal(one.values, two.values)


def test_kinds_are_those_of_the_labels(tmp_path: Path, shards: Callable[..., Shards]) -> None:
    write_shards(tmp_path / "shards")
    data = shards(attributes=["Male", "brightness"])
    assert [a.kind for a in data.attributes] == ["binary", "continuous"]


def test_the_stream_has_the_samples_of_the_split(tmp_path: Path, shards: Callable[..., Shards]) -> None:
    pytest.importorskip("webdataset")
    write_shards(tmp_path / "shards", SIZES)
    data = shards(share_test=0.3)  # no shard says test, so single samples are drawn into it
    for split in ("train", "test"):
        loaded, rows = data.load(split), data._split(split)
        streamed = {sample.name: sample for sample in data.stream(split)}
        assert sorted(streamed) == sorted(rows.names)
        for row, name in enumerate(rows.names):
            assert torch.equal(streamed[name].image, loaded.images[row])
            np.testing.assert_array_equal(streamed[name].values, loaded.values[row])


def test_every_epoch_has_its_own_order(tmp_path: Path, shards: Callable[..., Shards]) -> None:
    pytest.importorskip("webdataset")
    write_shards(tmp_path / "shards", SIZES)

    def order(**options: Any) -> list[str]:
        return [sample.name for sample in shards().stream("train", **options)]

    assert order(epoch=1) == order(epoch=1)
    assert order(epoch=1) != order(epoch=2)
    assert sorted(order(epoch=1)) == sorted(order(epoch=2))
    assert order(shuffle=0) != order()


@pytest.mark.parametrize(("processes", "workers"), [(1, 0), (2, 0), (2, 2), (3, 1)])
def test_every_sample_comes_exactly_once(tmp_path: Path, processes: int, workers: int) -> None:
    pytest.importorskip("webdataset")
    root = write_shards(tmp_path / "shards", SIZES)
    script = tmp_path / "reader.py"
    script.write_text(READER)
    running = [
        subprocess.Popen(
            [sys.executable, str(script), str(root), str(tmp_path / "cache"), str(workers)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(RANK=str(rank), WORLD_SIZE=str(processes), PYTHONPATH=str(Path(__file__).parents[1])),
        )
        for rank in range(processes)
    ]
    said = [process.communicate(timeout=240) for process in running]
    assert all(process.returncode == 0 for process in running), said
    whole = set(Shards(root=str(root), attributes=["Smiling"])._split("train").names)
    for epoch in range(2):
        read = [name for out, _ in said for name in json.loads(out.splitlines()[-1])[epoch]]
        assert len(read) == len(whole)
        assert set(read) == whole


def test_more_processes_than_shards(tmp_path: Path, shards: Callable[..., Shards], monkeypatch: Any) -> None:
    pytest.importorskip("webdataset")
    write_shards(tmp_path / "shards")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "5")
    with pytest.raises(DataError, match="5 processes share 4 shards, so some would have none; make more shards"):
        list(shards().stream("train"))


def spoil_image(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(faces(40)[0][0], b"x" * len(faces(40)[0][0])))


def test_bad_images_are_refused_or_skipped(tmp_path: Path, shards: Callable[..., Shards]) -> None:
    pytest.importorskip("webdataset")
    spoil_image(write_shards(tmp_path / "shards", test=1) / "train-000.tar")
    with pytest.raises(DataError, match=r"^1 of 31 images in .* cannot be read, first train-000:faces/000001 \("):
        shards().load("train")
    with pytest.raises(
        DataError, match=r"the image of train-000:faces/000001 cannot be read .*data.on_bad=skip leaves"
    ):
        list(shards().stream("train"))
    with pytest.warns(UserWarning, match="left out"):
        assert len(shards(on_bad="skip").load("train")) == 30
    assert len(list(shards(on_bad="skip").stream("train"))) == 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"root": ""}, "shards needs the place of its files"),
        ({"attributes": []}, "attributes is empty"),
        ({"attributes": ["smiling"]}, "unknown label 'smiling': did you mean 'Smiling'"),
        ({"root": "/"}, "/ has no .tar files"),
    ],
)
def test_bad_options(tmp_path: Path, shards: Callable[..., Shards], options: dict[str, Any], message: str) -> None:
    write_shards(tmp_path / "shards")
    with pytest.raises(DataError, match=message) as caught:
        shards(**options)
    assert "\n" not in str(caught.value)


def drop_labels(path: Path) -> None:
    with tarfile.open(path) as archive:
        kept = [(m, archive.extractfile(m).read()) for m in archive if m.name.endswith("jpg")]  # type: ignore[union-attr]
    with tarfile.open(path, "w") as archive:
        for member, content in kept:
            archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_text("<html>"), "is an HTML page, not a tar file"),
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), "cannot read .*train-000.tar: .*cut short"),
        (drop_labels, "12 of 40 images have no .json with labels, first train-000:faces/000001"),
    ],
)
def test_bad_files(tmp_path: Path, shards: Callable[..., Shards], spoil: Callable[[Path], Any], message: str) -> None:
    spoil(write_shards(tmp_path / "shards") / "train-000.tar")
    with pytest.raises(DataError, match=message) as caught:
        shards()
    assert "\n" not in str(caught.value)


# --- training from shards ---------------------------------------------------------------------------------------------


def streaming(root: Path, cache: Path, *settings: str) -> Config:
    told = (f'data.root="{root}"', f'data.cache="{cache}"', 'data.attributes=["Smiling", "Male"]', "data.size=32")
    small = ("backbone.name=dcgan", "backbone.width=8", "train.batch=8", "train.steps=9", "train.device=cpu")
    layers = [{"data": {"name": "shards"}}, parse_settings((*told, *small, "train.sample_every=0", *settings))]
    return Config.resolve([("test", layer) for layer in layers])


def test_training_streams_the_images_and_gives_the_model_of_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streamed, stopped in the middle of an epoch and gone on with, it is the run that had all images in the cache."""
    monkeypatch.setattr(CausalModel, "fit_mechanisms", partialmethod(CausalModel.fit_mechanisms, steps=5))
    monkeypatch.setattr(train, "save_graph", lambda *_: None)
    root, cache = write_shards(tmp_path / "shards", SIZES, test=1), tmp_path / "cache"
    with monkeypatch.context() as patch:
        patch.setattr(train, "interrupts", lambda: nullcontext(lambda: signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            train.train(streaming(root, cache, "data.streamed=true"), tmp_path / "streamed", SILENT)
    assert not list(cache.glob("*.npy"))
    train.train(streaming(root, cache, "data.streamed=true"), tmp_path / "streamed", SILENT)
    assert (
        len(list(cache.glob("*.npy"))) == 1
    )  # for the pictures that a run ends with: of the test split, not of training
    train.train(streaming(root, cache), tmp_path / "cached", SILENT)
    assert len(list(cache.glob("*.npy"))) == 2
    one, other = (load_file(tmp_path / run / "model.safetensors") for run in ("streamed", "cached"))
    assert_same(one, other, "model")


@pytest.mark.parametrize("threads", [1, 3])
def test_every_epoch_of_a_training_reads_every_sample_once(
    tmp_path: Path, shards: Callable[..., Shards], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shards(tmp_path / "shards", SIZES)
    data = shards(streamed=True, share_test=0.25)
    names = data._split("train").names.tolist()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(sharded, "decoded", lambda view, name, content: torch.tensor(names.index(name)))
    read = torch.cat(list(data.in_batches(batch_rows(30, 4, step, seed=0) for step in range(15))))
    assert sorted(read[:30].tolist()) == sorted(read[30:].tolist()) == list(range(30))
    assert read[:30].tolist() != read[30:].tolist()


def test_streamed_images_are_those_of_the_cache(tmp_path: Path, shards: Callable[..., Shards]) -> None:
    write_shards(tmp_path / "shards", SIZES)
    rows = [torch.tensor([3, 0, 7]), torch.tensor([1]), torch.tensor([7, 7])]
    streamed, cached = (list(shards(streamed=streamed).in_batches(rows)) for streamed in (True, False))
    assert all(torch.equal(one, other) for one, other in zip(streamed, cached, strict=True))
    assert [len(batch) for batch in streamed] == [3, 1, 2]


def test_a_bad_image_in_a_streamed_training_is_named(tmp_path: Path, shards: Callable[..., Shards]) -> None:
    spoil_image(write_shards(tmp_path / "shards", test=1) / "train-000.tar")
    with pytest.raises(DataError, match=r"^the image of train-000:faces/000001 cannot be read \("):
        list(shards(streamed=True).in_batches([torch.arange(12)]))
    with pytest.raises(DataError, match=r"streamed=true looks at no image before its turn.*; set on_bad=refuse"):
        shards(streamed=True, on_bad="skip")
