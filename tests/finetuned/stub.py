"""A tiny service on a real socket that speaks the contract, and remembers what it was asked."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from tests.finetuned.waiting import until

Json = dict[str, Any]
_REFUSED = {"code": "unknown_backbone", "detail": "There is no such backbone. See /backbones.", "request_id": "req_1"}


class Stub:
    """What was received, and how far its one data set and its one job are."""

    def __init__(self) -> None:
        self.url = ""
        self.headers: list[dict[str, str]] = []
        self.uploads: list[Json] = []
        self.bodies: list[Json] = []
        self.pages: list[str | None] = []
        self.polls_until_ended = 2
        self.job: Json = {"id": "job_1", "name": "a job", "status": "running", "backbone": "hf/x"}


def _app(stub: Stub) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def remember(request: Request, proceed: Any) -> Response:
        stub.headers.append(dict(request.headers))
        answer: Response = await proceed(request)
        return answer

    _add_uploads(app, stub)
    _add_jobs(app, stub)
    _add_models(app, stub)
    return app


def _add_uploads(app: FastAPI, stub: Stub) -> None:
    @app.post("/datasets")
    @app.post("/weights")
    async def upload(request: Request) -> Json:
        async with request.form() as form:
            file = form["file"]
            assert not isinstance(file, str)
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
            stub.uploads.append({"filename": file.filename, "content": await file.read(), **fields})
        return {"id": "ds_1", "status": "processing"}

    @app.get("/datasets/{_dataset_id}")
    def dataset(_dataset_id: str) -> Json:
        return _ended_after_polls(stub, {"id": "ds_1", "status": "processing"}, "ready")


def _add_jobs(app: FastAPI, stub: Stub) -> None:
    @app.post("/jobs", status_code=202)
    async def create(request: Request) -> Any:
        stub.bodies.append(await request.json())
        if stub.bodies[-1]["backbone"] == "unknown":
            errors = [{"loc": ["body", "backbone"], "msg": "unknown"}]
            return JSONResponse({**_REFUSED, "errors": errors}, 422, media_type="application/problem+json")
        return stub.job

    @app.get("/jobs/{job_id}")
    def job(job_id: str) -> Any:
        if job_id != "job_1":
            return JSONResponse({"code": "not_found", "detail": "No such job. List them."}, 404)
        return _ended_after_polls(stub, stub.job, "succeeded")

    @app.get("/jobs")
    def jobs(limit: int, after: str | None = None) -> Json:
        stub.pages.append(after)
        first = int(after.removeprefix("job_")) + 1 if after else 0
        data = [{"id": f"job_{number}"} for number in range(first, min(first + limit, 250))]
        return {"data": data, "has_more": first + limit < 250}


def _add_models(app: FastAPI, stub: Stub) -> None:
    @app.get("/models/{_ref:path}")
    def model(_ref: str) -> Json:
        return {"id": "mdl_1", "task": "text-classification"}

    @app.post("/predict")
    async def predict(request: Request) -> Json:
        stub.bodies.append(await request.json())
        return {"predictions": [{"label": "good", "score": 0.75} for _ in stub.bodies[-1]["inputs"]]}

    @app.get("/healthz")
    def health() -> Json:
        return {}

    @app.get("/readyz")
    def ready() -> Response:
        return Response(status_code=503)

    @app.get("/backbones")
    def not_ours() -> Response:
        return Response("<html>", media_type="text/html")


def _ended_after_polls(stub: Stub, found: Json, ended: str) -> Json:
    stub.polls_until_ended -= 1
    return found if stub.polls_until_ended >= 0 else {**found, "status": ended}


@contextmanager
def serving() -> Iterator[Stub]:
    """A stub that answers until the end of the block."""
    stub = Stub()
    server = uvicorn.Server(uvicorn.Config(_app(stub), log_level="warning", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stub.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        until(lambda: server.started, "the stub serves")
        yield stub
        server.should_exit = True
        thread.join()
