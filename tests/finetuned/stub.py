"""A tiny service on a real socket that speaks the contract, and remembers what it was asked."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from tests.finetuned.waiting import until

Json = dict[str, Any]
_REFUSED = {"code": "unknown_backbone", "detail": "There is no such backbone. See /backbones.", "request_id": "req_1"}


REPORT: Json = {
    "model": "mdl_1",
    "dataset": "ds_1",
    "split": "validation",
    "items": 4,
    "accuracy": 0.75,
    "loss": 0.5,
    "classes": [{"label": "긍정", "precision": 1.0, "recall": 0.5, "f1": 0.667, "support": 2}],
    "calibration": {"temperature": 1.25, "ece_before": 0.2, "ece_after": 0.1},
    "mistakes": [{"item": "17", "name": "train.csv:18", "label": "긍정", "predicted": "부정", "score": 0.99}],
}


@dataclass(frozen=True)
class Mishap:
    """What befalls a request: a status instead of an answer, or (0) an answer that is lost when all is done."""

    status: int
    retry_after: str | None = None


class Stub:
    """What was received, and how far its one data set and its one job are."""

    def __init__(self) -> None:
        self.url = ""
        self.headers: list[dict[str, str]] = []
        self.uploads: list[Json] = []
        self.bodies: list[Json] = []
        self.pages: list[str | None] = []
        self.polls_until_ended = 2
        self.aliases: Json = {}
        self.task = "text-classification"
        self.model_file = "개미-v3"
        self.mishaps: list[Mishap] = []
        self.times: list[float] = []
        self.events: list[list[Json]] = []
        self.job: Json = {"id": "job_1", "name": "a job", "status": "running", "backbone": "hf/x", "report": REPORT}


def _app(stub: Stub) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def remember(request: Request, proceed: Any) -> Response:
        stub.headers.append({"method": request.method, "path": request.url.path, **request.headers})
        stub.times.append(time.monotonic())
        mishap = stub.mishaps.pop(0) if stub.mishaps else None
        if mishap and mishap.status:
            return _refused(mishap)
        answer: Response = await proceed(request)
        return _lost() if mishap else answer

    _add_uploads(app, stub)
    _add_jobs(app, stub)
    _add_versions(app, stub)
    _add_models(app, stub)
    return app


def _event(event: Json) -> str:
    return f"id: {event['id']}\nevent: {event['type']}\ndata: {json.dumps(event['data'])}\n\n"


def _refused(mishap: Mishap) -> Response:
    headers = {} if mishap.retry_after is None else {"Retry-After": mishap.retry_after}
    return JSONResponse({"code": "not_now", "detail": "Not now. Come again."}, mishap.status, headers)


def _lost() -> Response:
    """Less than it promises: the connection is cut."""
    return StreamingResponse(iter((b"{",)), headers={"Content-Length": "1000"})


def _add_uploads(app: FastAPI, stub: Stub) -> None:
    @app.post("/datasets")
    @app.post("/weights")
    @app.post("/checkpoints")
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

    @app.get("/jobs/{_job_id}/events")
    def events(_job_id: str) -> Response:
        if not stub.events:
            return Response(status_code=204)
        lines = [
            f"id: {one['id']}\nevent: {one['type']}\ndata: {json.dumps(one['data'])}\n\n" for one in stub.events.pop(0)
        ]
        return StreamingResponse(iter(["retry: 1000\n\n", *lines, ": keep-alive\n\n"]), media_type="text/event-stream")

    @app.post("/jobs/{_job_id}/cancel", status_code=202)
    def cancel(_job_id: str) -> Json:
        return {**stub.job, "cancel_requested": True}

    @app.get("/jobs")
    def jobs(limit: int, after: str | None = None) -> Json:
        stub.pages.append(after)
        first = int(after.removeprefix("job_")) + 1 if after else 0
        data = [{"id": f"job_{number}"} for number in range(first, min(first + limit, 250))]
        return {"data": data, "has_more": first + limit < 250}


def _add_versions(app: FastAPI, stub: Stub) -> None:
    @app.get("/models/{ref:path}/download")
    def download(ref: str, format: str) -> Response:  # noqa: A002
        if ref == "gone":
            return JSONResponse({"code": "model_not_found", "detail": "No such model. List them."}, 404)
        disposition = f"attachment; filename=\"x.{format}\"; filename*=UTF-8''{quote(stub.model_file)}.{format}"
        cut = {"Content-Length": "1000"} if ref == "cut" else {}
        halves = iter((b"the first half, ", b"the second half"))
        return StreamingResponse(halves, headers={"Content-Disposition": disposition, **cut})

    @app.put("/models/{ref:path}/aliases/{alias}")
    def promote(ref: str, alias: str) -> Json:
        stub.aliases[alias] = ref
        return {"id": "mdl_1", "name": "개미", "version": 3, "aliases": [alias]}

    @app.delete("/models/{ref:path}/aliases/{alias}", status_code=204)
    def remove_alias(ref: str, alias: str) -> None:
        assert stub.aliases.pop(alias) == ref


def _add_models(app: FastAPI, stub: Stub) -> None:
    @app.get("/models/{_ref}/report")
    def report(_ref: str) -> Json:
        return REPORT

    @app.post("/models/{_ref}/evaluate", status_code=202)
    async def evaluate(_ref: str, request: Request) -> Json:
        stub.bodies.append(await request.json())
        return stub.job

    @app.get("/models/{_ref:path}")
    def model(_ref: str) -> Json:
        return {"id": "mdl_1", "task": stub.task}

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
    with _listening(_app(stub)) as stub.url:
        yield stub


class Sink:
    """Takes uploads of any size without keeping them; ``bytes`` is the size of the last one."""

    def __init__(self) -> None:
        self.url = ""
        self.bytes = 0
        self.tail = b""

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Read to the end, then say something."""
        received, self.tail, more = 0, b"", True
        while more:
            message = await receive()
            received += len(message.get("body", b""))
            self.tail = (self.tail + message.get("body", b""))[-100:]
            more = message.get("more_body", False)
        self.bytes = received
        await JSONResponse({"id": "ds_1", "status": "processing"})(_scope, receive, send)


@contextmanager
def sinking() -> Iterator[Sink]:
    """A sink that takes uploads until the end of the block."""
    sink = Sink()
    with _listening(sink) as sink.url:
        yield sink


@contextmanager
def _listening(app: Any) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        until(lambda: server.started, "the stub serves")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()
