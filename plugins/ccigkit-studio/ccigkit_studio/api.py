"""The HTTP API: each route checks what comes, waits its turn, asks the studio."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from importlib.resources import files
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response

from ccigkit.errors import UserError
from ccigkit_studio import schema
from ccigkit_studio.answers import MissingError, Studio
from ccigkit_studio.guard import Guard, RefusedError
from ccigkit_studio.pages import POLICY, whole
from ccigkit_studio.queue import BusyError, Queue

WAITING = 24  # questions at work or waiting
LOOPBACK = ("127.0.0.1", "localhost")
UPLOAD = "/api/pictures"
PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/studio.css": ("studio.css", "text/css; charset=utf-8"),
    "/studio.js": ("studio.js", "text/javascript; charset=utf-8"),
    "/graph.js": ("graph.js", "text/javascript; charset=utf-8"),
    "/cytoscape.js": ("cytoscape.min.js", "text/javascript; charset=utf-8"),
    "/cytoscape.LICENSE.txt": ("cytoscape.LICENSE.txt", "text/plain; charset=utf-8"),
    "/favicon.ico": ("icon.svg", "image/svg+xml"),
}
WRONG: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request is malformed, or of a host that is not this one."},
    403: {"description": "A page from elsewhere may not ask."},
    404: {"description": "The picture, the graph or the step is not there."},
    408: {"description": "The body took too long."},
    413: {"description": "The body is too large."},
    422: {"description": "What is wrong with the question, in a sentence."},
    503: {"description": "Too many wait, or there is no model yet."},
}
T = TypeVar("T")


def create_app(studio: Studio, *, names: Iterable[str] = (), waiting: int = WAITING) -> FastAPI:
    """The page and the API of a studio, as an ASGI application.

    Args:
        studio: what answers.
        names: host names to answer to, beside those of this machine for itself.
        waiting: how many questions may be at work or waiting.
    """
    # The pages that FastAPI brings to read a schema fetch their scripts from elsewhere.
    app = FastAPI(title="ccigkit studio", version="1", docs_url=None, redoc_url=None, openapi_url="/api/schema")
    app.add_middleware(Guard, hosts=(*LOOPBACK, *names), upload=UPLOAD)
    queue = Queue(waiting)
    app.state.queue = queue

    async def ask(task: Callable[[], T]) -> T:
        return await queue.do(task)

    @app.exception_handler(UserError)
    async def mend(_: Request, error: UserError) -> Response:
        return sentence(404 if isinstance(error, MissingError) else 422, str(error))

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> Response:
        return sentence(error.status, error.why)

    @app.exception_handler(BusyError)
    async def busy(_: Request, error: BusyError) -> Response:
        return sentence(503, "too many questions are waiting; try again in a moment")

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]  # without the input, which may be what no answer can hold
        return sentence(422, f"{'.'.join(map(str, first['loc'][1:])) or 'the body'}: {first['msg']}")

    @app.get("/api/model", responses=WRONG)
    async def model() -> schema.ModelFacts:
        """What the model is about: attributes, graph, data."""
        if studio.loaded is None and not (studio.folder / "model.safetensors").is_file():
            raise RefusedError(503, "this run has no model yet; its first checkpoint brings one")
        return await ask(studio.facts)

    @app.get(UPLOAD, responses=WRONG)
    async def pictures(
        start: Annotated[int, Query(ge=0, lt=10**9)] = 0, n: Annotated[int, Query(ge=1, le=48)] = 12
    ) -> list[schema.TestPicture]:
        """Test pictures, in their order."""
        return await ask(lambda: studio.tests(start, n))

    body = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}

    @app.post(UPLOAD, responses=WRONG, openapi_extra={"requestBody": {"required": True, **body}})
    async def upload(request: Request) -> schema.Taken:
        """Take a picture, the file's own bytes; it stays in memory, for a while."""
        content = await request.body()
        return schema.Taken(id=await ask(lambda: studio.take(content)))

    @app.post("/api/abduct", responses=WRONG)
    async def abduct(asked: schema.PictureQuestion) -> schema.Codes:
        """What a picture is made of."""
        return await ask(lambda: studio.abduct(asked))

    @app.post("/api/counterfactual", responses=WRONG)
    async def counterfactual(asked: schema.Question) -> schema.Answer:
        """A picture as it would have been."""
        return await ask(lambda: studio.counterfactual(asked))

    @app.post("/api/along", responses=WRONG)
    async def along(asked: schema.AlongQuestion) -> schema.Along:
        """A picture with one attribute all over its range."""
        return await ask(lambda: studio.along(asked))

    @app.post("/api/sample", responses=WRONG)
    async def sample(asked: schema.SampleQuestion) -> schema.Drawn:
        """New pictures, under an intervention if one is given."""
        return await ask(lambda: studio.sample(asked))

    @app.post("/api/see", responses=WRONG)
    async def see(asked: schema.SeeQuestion) -> schema.SeeAnswer:
        """The same question asked of the data and of the mechanisms."""
        return await ask(lambda: studio.see(asked))

    @app.post("/api/graphs", responses=WRONG)
    async def graphs(asked: schema.GraphQuestion) -> schema.GraphFacts:
        """Fit mechanisms along another graph; its id goes into the other questions."""
        return await ask(lambda: studio.refit(asked))

    @app.get("/api/training", responses=WRONG)
    async def training() -> schema.Training:
        """How far the run is, with its curves."""
        return await ask(studio.training)

    @app.get("/api/training/samples/{step}", responses=WRONG, response_class=Response)
    async def training_samples(step: Annotated[int, Path(ge=0, lt=10**9)]) -> Response:
        """The sample picture of a step, as PNG."""
        return Response(await ask(lambda: studio.sample_file(step)), media_type="image/png")

    @app.get("/pages/{number}", include_in_schema=False)
    async def page(number: Annotated[int, Path(ge=0, lt=1000)]) -> Response:
        titles = list(studio.pages)
        if number >= len(titles):
            raise MissingError(f"there is no page {number}")
        title = titles[number]
        content = await ask(lambda: whole(title, studio.pages[title], studio.model))
        policy = {"content-security-policy": POLICY}
        return Response(content, media_type="text/html; charset=utf-8", headers=policy)

    for path, (name, kind) in PAGE.items():
        app.add_api_route(path, served(name, kind), include_in_schema=False, methods=["GET"])
    return app


def served(name: str, kind: str) -> Callable[[], Any]:
    """What answers with a file of the page, read once."""
    content = (files("ccigkit_studio") / "page" / name).read_bytes()

    async def answer() -> Response:
        return Response(content, media_type=kind)

    return answer


def sentence(status: int, text: str) -> Response:
    """What is wrong, in a sentence."""
    safe = text.encode("utf-8", "backslashreplace").decode()
    return Response(json.dumps({"detail": safe}), status, media_type="application/json")
