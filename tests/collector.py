"""An OpenTelemetry collector for tests: takes OTLP over HTTP on the loopback, and keeps the spans that it was sent."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent


@dataclass(frozen=True)
class Span:
    """A span as it arrived."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    start: int
    end: int
    attributes: dict[str, Any]
    events: tuple[str, ...]
    failed: bool
    service: str
    process: str


class Collector:
    """What has arrived so far."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.raw = b""
        """All bodies, one after the other."""
        self._spans: list[Span] = []

    def take(self, body: bytes) -> None:
        """Decode a request's body; raises where it is none."""
        request = ExportTraceServiceRequest.FromString(body)
        self.raw += body
        for resource in request.resource_spans:
            told = {one.key: _value(one.value) for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self._spans += [_span(sent, told) for sent in scope.spans]

    def spans(self, name: str = "", *, trace: str = "") -> list[Span]:
        """Those of a name, or of a trace, or all, by when they began."""
        found = [one for one in [*self._spans] if name in {"", one.name} and trace in {"", one.trace}]
        return sorted(found, key=lambda one: one.start)


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """The URL of a collector that takes connections and never answers: worse than one that is not there."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _span(sent: Sent, resource: dict[str, Any]) -> Span:
    return Span(
        name=sent.name,
        trace=sent.trace_id.hex(),
        id=sent.span_id.hex(),
        parent=sent.parent_span_id.hex(),
        kind=sent.kind,
        start=sent.start_time_unix_nano,
        end=sent.end_time_unix_nano,
        attributes={one.key: _value(one.value) for one in sent.attributes},
        events=tuple(event.name for event in sent.events),
        failed=sent.status.code == sent.status.STATUS_CODE_ERROR,
        service=resource["service.name"],
        process=resource["service.instance.id"],
    )


def _value(value: AnyValue) -> Any:
    return getattr(value, str(value.WhichOneof("value")))
