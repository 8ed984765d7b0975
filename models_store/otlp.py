"""The way of spans to an OpenTelemetry collector. Imported only where one is named; see :mod:`models_store.spans`."""

import logging
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span as OpenSpan
from opentelemetry.trace import SpanKind, StatusCode, Tracer, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from models_store.spans import Attributes, Kind

CLOSING_SECONDS: Final = 1.0
"""The most that the end of a process waits for a collector."""
_SEND_MILLISECONDS: Final = 1000.0
"""What a killed process has told is seen, but for its last second; ``OTEL_BSP_SCHEDULE_DELAY`` changes it."""
_KINDS: Final[Mapping[Kind, SpanKind]] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
_W3C: Final = TraceContextTextMapPropagator()
_log = structlog.get_logger()


class Traced:
    """A span of OpenTelemetry's, as :class:`models_store.spans.Span`."""

    def __init__(self, tracer: Tracer, span: OpenSpan) -> None:
        self._tracer, self._span = tracer, span

    @property
    def trace_id(self) -> str:
        """As 32 hexadecimal digits."""
        return f"{self._span.get_span_context().trace_id:032x}"

    @property
    def traceparent(self) -> str:
        """In W3C's form; what a vendor adds in ``tracestate`` is not passed on."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, set_span_in_context(self._span, Context()))
        return carrier["traceparent"]

    def child(
        self, name: str, attributes: Attributes | None = None, *, kind: Kind = "internal", start: int = 0
    ) -> "Traced":
        """A span below this one."""
        return Traced(self._tracer, _started(self._tracer, name, self._span, attributes, kind, start))

    def rename(self, name: str) -> None:
        """Its name is known only now."""
        self._span.update_name(name)

    def note(self, attributes: Attributes) -> None:
        """Set attributes."""
        self._span.set_attributes(attributes)

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        """Add an event; the SDK keeps the last 128."""
        self._span.add_event(name, attributes)

    def end(self, *, error: str | None = None, at: int = 0) -> None:
        """End it; of an error its kind alone, whose message may hold what users have written."""
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(StatusCode.ERROR)
        self._span.end(at or None)


class Collector:
    """The collector that the standard variables name: protobuf over HTTP, from a thread of its own.

    The queue is bounded (2,048 spans; more are lost), and nothing but :meth:`close` waits for anything.

    Args:
        part: gives the service its name, unless the variables do.
        telling: whether the log says when spans do not arrive.
    """

    def __init__(self, part: str, *, telling: bool) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # _Told says it once, not once a second
        delay = float(os.environ.get("OTEL_BSP_SCHEDULE_DELAY") or _SEND_MILLISECONDS)
        exporter: SpanExporter = OTLPSpanExporter()
        self._sending = BatchSpanProcessor(_Told(exporter) if telling else exporter, schedule_delay_millis=delay)
        provider = TracerProvider(resource=_resource(part), shutdown_on_exit=False)
        provider.add_span_processor(self._sending)
        self._tracer = provider.get_tracer("finetuned")

    def begun(
        self, name: str, traceparent: str | None, attributes: Attributes | None, kind: Kind, start: int
    ) -> Traced:
        """A span below another process's, or the first of a trace."""
        parent = _remote(traceparent) if traceparent else None
        return Traced(self._tracer, _started(self._tracer, name, parent, attributes, kind, start))

    def continued(self, traceparent: str) -> Traced:
        """Another process's span; ending it does nothing."""
        return Traced(self._tracer, _remote(traceparent))

    def close(self) -> None:
        """Send what waits, for a second at most: the thread does not keep the process alive."""
        closing = threading.Thread(target=self._sending.shutdown, name="last-spans", daemon=True)
        closing.start()
        closing.join(CLOSING_SECONDS)


class _Told(SpanExporter):
    """Says once that spans do not arrive, and once that they do again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter, self._arriving = exporter, True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send them; what does not arrive is lost."""
        result = self._exporter.export(spans)
        arriving = result is SpanExportResult.SUCCESS
        if arriving != self._arriving:
            self._arriving = arriving
            if arriving:
                _log.info("spans_arrive_again")
            else:
                _log.warning("spans_lost", reason="the collector does not take them")
        return result

    def shutdown(self) -> None:
        """Give up what is being sent."""
        self._exporter.shutdown()


def _started(
    tracer: Tracer, name: str, parent: OpenSpan | None, attributes: Attributes | None, kind: Kind, start: int
) -> OpenSpan:
    """Never below a span that some other library has made the current one."""
    context = Context() if parent is None else set_span_in_context(parent, Context())
    return tracer.start_span(name, context, _KINDS[kind], attributes, start_time=start or None)


def _remote(traceparent: str) -> OpenSpan:
    """One that is not valid gives a span that is none, below which a new trace begins."""
    return get_current_span(_W3C.extract({"traceparent": traceparent}, Context()))


def _resource(part: str) -> Resource:
    """What the operator's variables say counts."""
    own: dict[str, str] = {
        "service.name": f"finetuned-{part}",
        "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
    }
    return Resource.create(own).merge(OTELResourceDetector().detect())
