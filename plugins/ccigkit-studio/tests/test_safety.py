"""Nobody else is answered, nothing else is read or written, and nothing that comes makes the server fail."""

from __future__ import annotations

import asyncio
import io
import json
import re
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ccigkit_studio import guard, server
from ccigkit_studio.answers import Studio
from ccigkit_studio.api import PAGE, create_app
from ccigkit_studio.queue import BusyError, Queue
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

Pictures = Callable[..., bytes]


def header_of_png(width: int, height: int) -> bytes:
    """A PNG that says how large it is and then ends."""
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(b"", 1))
    parts = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# --- who may ask ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "127.0.0.1@evil.example", "[::1]evil"])
def test_another_name_is_not_answered(client: TestClient, host: str) -> None:
    answer = client.get("/api/model", headers={"host": host})
    assert answer.status_code == 400
    assert "not called by that name" in answer.json()["detail"]


def test_a_name_can_be_allowed(studio: Studio) -> None:
    with TestClient(create_app(studio, names=["lab.example"]), base_url="http://lab.example:8765") as client:
        assert client.get("/api/training").status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1:8765"])
def test_a_page_from_elsewhere_may_not_ask(client: TestClient, origin: str) -> None:
    for answer in (
        client.post("/api/sample", json={}, headers={"origin": origin}),
        client.get("/api/model", headers={"origin": origin}),
    ):
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


def test_the_page_itself_may_ask(client: TestClient) -> None:
    own = {"origin": "http://127.0.0.1:8765", "sec-fetch-site": "same-origin"}
    assert client.post("/api/sample", json={"n": 1}, headers=own).status_code == 200


def test_a_page_from_elsewhere_may_link_here_and_no_more(client: TestClient) -> None:
    cross = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=cross).status_code == 200
    assert client.get("/api/model", headers=cross).status_code == 403
    embedded = client.get("/api/training/samples/2", headers={"sec-fetch-site": "cross-site"})
    assert embedded.status_code == 403


def test_every_answer_forbids_what_is_from_elsewhere(client: TestClient) -> None:
    for path in (*PAGE, "/api/model", "/nothing"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_page_is_small_and_names_no_other_place() -> None:
    folder = Path(server.__file__).parent / "page"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 1_000_000
    own = "".join(file.read_text() for file in folder.iterdir() if not file.name.startswith("cytoscape"))
    without = own.replace("http://www.w3.org/2000/svg", "")  # the name of SVG, which nobody fetches
    assert not re.search(r"https?:|(src|href)=.?//|url\(|@import", without)


# --- what may come ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"", 422, "no picture that can be read"),
        (b"hello", 422, "no picture that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 422, "no picture that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "no picture that can be read"),
        (b"\0\0\0\x18ftypheic" + bytes(40), 422, "a HEIC picture"),
        (header_of_png(20_000, 10_000), 422, "more than 50 million pixels"),
        (header_of_png(2**31 - 1, 2**31 - 1), 422, "more than 50 million pixels"),
        (header_of_png(64, 64), 422, "damaged"),
        (bytes(20_000_000), 413, "too large"),
    ],
)
def test_a_bad_picture_is_told_in_a_sentence(client: TestClient, content: bytes, status: int, said: str) -> None:
    answer = client.post("/api/pictures", content=content)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_a_real_picture_of_too_many_pixels_is_not_decoded(client: TestClient) -> None:
    file = io.BytesIO()
    Image.new("1", (20_000, 10_000)).save(file, "PNG")
    start = time.process_time()
    answer = client.post("/api/pictures", content=file.getvalue())
    assert "more than 50 million pixels" in answer.json()["detail"]
    assert time.process_time() - start < 1, "to decode it takes longer"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_picture_of_each_format_is_taken(client: TestClient, picture: Pictures, form: str) -> None:
    assert client.post("/api/pictures", content=picture(form=form)).status_code == 200


def test_a_body_is_counted_where_it_does_not_say_how_long_it_is(client: TestClient) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield bytes(1024 * 1024)
            sent.append(1)

    sent: list[int] = []
    assert client.post("/api/pictures", content=endless()).status_code == 413
    assert client.post("/api/sample", content=b" " * (guard.BODY + 1)).status_code == 413


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "PATIENCE", 0.05)

    async def never() -> Any:
        await asyncio.sleep(60)

    async def refused() -> guard.RefusedError:
        with pytest.raises(guard.RefusedError) as caught:
            await guard.read(never, {"headers": []}, 10)
        return caught.value

    assert asyncio.run(refused()).status == 408


# --- how many ---------------------------------------------------------------------------------------------------------


def test_who_comes_when_too_many_wait_is_told_so() -> None:
    async def crowd() -> list[Any]:
        queue, gate = Queue(3), threading.Event()
        waiting = [asyncio.ensure_future(queue.do(gate.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await queue.do(lambda: None)
        gate.set()
        answers: list[Any] = await asyncio.gather(*waiting)
        await asyncio.sleep(0)
        return [*answers, await queue.do(lambda: "again")]

    assert asyncio.run(crowd()) == [True, True, True, "again"]


def test_a_full_queue_is_an_answer_503(studio: Studio) -> None:
    with TestClient(create_app(studio, waiting=0), base_url="http://localhost") as client:
        answer = client.post("/api/sample", json={})
    assert answer.status_code == 503
    assert "try again" in answer.json()["detail"]


def test_too_many_uploads_at_once_are_told_so(client: TestClient, picture: Pictures) -> None:
    # Guard counts uploads while it reads them.
    async def crowd() -> list[int]:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await gate.wait()

        gate, statuses = asyncio.Event(), []
        guarded = guard.Guard(app, hosts=["localhost"], upload="/up")
        scope = {"type": "http", "path": "/up", "scheme": "http", "headers": [(b"host", b"localhost")]}

        async def receive() -> Any:
            return {"type": "http.request", "body": b"x"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        tasks = [asyncio.ensure_future(guarded(scope, receive, send)) for _ in range(guard.UPLOADS + 2)]
        await asyncio.sleep(0.01)
        gate.set()
        await asyncio.gather(*tasks)
        assert guarded.uploads == 0
        return statuses

    assert asyncio.run(crowd()) == [503, 503]


# --- a real server ----------------------------------------------------------------------------------------------------


async def talk(address: tuple[str, int], *words: bytes, pause: float = 0.0) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    try:
        for word in words:
            writer.write(word)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "words",
    [
        b"GET /../../etc/passwd HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
        b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
        b"GET /api/training/samples/..%2f..%2fconfig.toml HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
        b"GET //etc/passwd HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
        b"GET /config.toml HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
    ],
)
def test_no_path_leads_elsewhere(address: tuple[str, int], words: bytes) -> None:
    answer = asyncio.run(talk(address, words))
    assert answer.split(b" ", 2)[1] in (b"404", b"422", b"400"), answer[:80]
    assert b"root:" not in answer
    assert b"[data]" not in answer


@pytest.mark.parametrize(
    "words",
    [
        b"\x00\xff\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"POST /api/sample HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: -5\r\n\r\n",
        b"POST /api/sample HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"POST /api/sample HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: " + b"y" * 100_000,
    ],
)
def test_malformed_requests_are_refused(address: tuple[str, int], words: bytes) -> None:
    answer = asyncio.run(talk(address, words))
    assert not answer or answer.split(b" ", 2)[1][:1] == b"4", answer[:80]


def test_slow_clients_are_hung_up_on_and_keep_nobody_waiting(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEADERS", 0.5)
    start = time.monotonic()

    async def both() -> tuple[bytes, bytes, bytes]:
        slow = asyncio.ensure_future(talk(address, b"GET / HT"))
        silent = asyncio.ensure_future(talk(address))
        quick = await talk(address, b"GET /studio.css HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
        return quick, await slow, await silent

    quick, slow, silent = asyncio.run(both())
    assert quick.startswith(b"HTTP/1.1 200")
    assert slow == silent == b""
    assert time.monotonic() - start < 10


# --- anything ---------------------------------------------------------------------------------------------------------

ROUTES = ("abduct", "counterfactual", "along", "sample", "see", "graphs")
names = st.sampled_from(["angle", "light", "length", "angle ", "", "nobody", "\0", "é\u200b", "=", "~", "->"])
values = st.sampled_from(["0.1", "1", "-1", "nan", "inf", "1e400", "N(0,1)", "N(0.1,1e-320)", "0.5:1", "x", "", "1_0"])
signs = st.sampled_from(["=", "+=", "-=", "~", "", "=="])
setting = st.one_of(st.builds(lambda *parts: "".join(parts), names, signs, values), st.text(max_size=20))
identity = st.one_of(
    st.sampled_from(["test-0", "new-3", "own-x", "test-00000000000", "../../etc/passwd", "new-", "TEST-1"]),
    st.text(max_size=12),
)
junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
pairs = st.lists(st.tuples(names, names), max_size=4)
body = st.fixed_dictionaries(
    {},
    optional={
        "picture": st.one_of(identity, identity, junk),
        "do": st.one_of(st.lists(setting, max_size=3), st.lists(setting, max_size=3), junk),
        "given": st.one_of(st.lists(setting, max_size=3), junk),
        "attribute": st.one_of(names, junk),
        "graph": st.one_of(st.none(), identity, junk),
        "n": st.one_of(st.integers(-1, 40), junk),
        "seed": st.one_of(st.integers(-1, 2**32), junk),
        "detail": st.one_of(st.booleans(), junk),
        "edges": st.one_of(pairs, junk),
        "hidden": st.one_of(pairs, junk),
    },
)
FIELDS = {
    "abduct": ("picture", "graph"),
    "counterfactual": ("picture", "do", "graph", "seed", "detail"),
    "along": ("picture", "attribute", "do", "graph", "n"),
    "sample": ("n", "do", "seed", "graph"),
    "see": ("given", "graph"),
    "graphs": ("edges", "hidden"),
}
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def expected(answer: Any) -> None:
    assert answer.status_code in (200, 400, 404, 405, 413, 422), (answer.status_code, answer.text[:300])
    if answer.status_code != 200:
        assert isinstance(answer.json()["detail"], str)


@quick
@given(route=st.sampled_from(ROUTES), content=body, strict=st.booleans())
def test_no_question_makes_the_server_fail(client: TestClient, route: str, content: Any, strict: bool) -> None:
    if strict:  # else nearly all are refused for a field too many
        content = {key: value for key, value in content.items() if key in FIELDS[route]}
    if route == "graphs":  # a fit takes a second
        content.setdefault("edges", None)
    sent = json.dumps(content, allow_nan=True).encode("utf-8", "surrogatepass")
    expected(client.post(f"/api/{route}", content=sent, headers={"content-type": "application/json"}))


@quick
@given(route=st.sampled_from(ROUTES), content=st.one_of(st.binary(max_size=60), st.just(b"[" * 60_000)))
def test_no_bytes_make_the_server_fail(client: TestClient, route: str, content: bytes) -> None:
    expected(client.post(f"/api/{route}", content=content, headers={"content-type": "application/json"}))


@quick
@given(data=st.data())
def test_no_picture_makes_the_server_fail(client: TestClient, picture: Pictures, data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"]))
    content = bytearray(picture(12, 9, form))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    expected(client.post("/api/pictures", content=bytes(content[: data.draw(st.integers(0, len(content)))])))


@quick
@given(path=st.text(max_size=20), method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"]))
def test_no_path_makes_the_server_fail(client: TestClient, path: str, method: str) -> None:
    from urllib.parse import quote

    answer = client.request(method, f"/api/{quote(path, safe='/.%', errors='replace')}")
    assert answer.status_code < 500, answer.text


def test_nothing_was_written(run: Path, client: TestClient, picture: Pictures, tmp_path: Path) -> None:
    def seen() -> dict[str, tuple[float, int]]:
        files = (file for file in run.rglob("*") if file.is_file())
        return {str(file): (file.stat().st_mtime, file.stat().st_size) for file in files}

    before = seen()
    taken = client.post("/api/pictures", content=picture()).json()["id"]
    for route, content in {
        "counterfactual": {"picture": taken, "do": ["angle=0.1"]},
        "see": {"given": ["angle=0.1"]},
        "sample": {},
        "graphs": {"edges": []},
    }.items():
        assert client.post(f"/api/{route}", json=content).status_code == 200, route
    assert seen() == before
