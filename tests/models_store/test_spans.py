"""Spans: how they hang together, what they never hold, and that a collector which is not there holds nobody up."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from models_store import spans
from models_store.errors import InvalidError
from models_store.spans import Tracer
from tests.collector import Collector, collecting, silent

INCOMING = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
REFUSING = "http://127.0.0.1:9"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the environment names."""
    with collecting() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        yield made


@pytest.fixture
def tracer(collector: Collector) -> Iterator[Tracer]:
    """Sends to it; closed by the test when it wants to see what was sent."""
    del collector
    made = Tracer("test")
    yield made
    made.close()


def test_work_goes_on_below_the_span_of_another_process(collector: Collector, tracer: Tracer) -> None:
    with spans.entered(tracer.begin("request", INCOMING, kind="server")):
        handed_over = spans.traceparent()
        with spans.part("inner", {"finetuned.items": 3}):
            spans.event("epoch")
    assert handed_over is not None
    with spans.entered(tracer.continued(handed_over)), spans.part("elsewhere"):
        pass
    tracer.close()
    request, inner, elsewhere = (collector.spans(name)[0] for name in ("request", "inner", "elsewhere"))
    assert {one.trace for one in collector.spans()} == {INCOMING.split("-")[1]}
    assert (request.parent, inner.parent, elsewhere.parent) == (INCOMING.split("-")[2], request.id, request.id)
    assert (inner.attributes, inner.events) == ({"finetuned.items": 3}, ("epoch",))
    assert len(collector.spans()) == 3  # what another process has begun is not told of again
    assert request.service == "finetuned-test"


@pytest.mark.parametrize("nonsense", ["", "00-x-y-01", f"{INCOMING}x" * 9, "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
def test_what_is_no_traceparent_begins_a_new_trace(nonsense: str, collector: Collector, tracer: Tracer) -> None:
    with spans.entered(tracer.begin("request", nonsense)):
        pass
    tracer.close()
    (span,) = collector.spans()
    assert span.parent == ""
    assert int(span.trace, 16)


def test_a_trace_that_its_beginner_does_not_record_is_not_sent(collector: Collector, tracer: Tracer) -> None:
    with spans.entered(tracer.begin("request", INCOMING.removesuffix("01") + "00")), spans.part("inner"):
        assert (spans.traceparent() or "").endswith("-00")
    tracer.close()
    assert collector.spans() == []


def test_of_an_error_its_kind_alone_is_told(collector: Collector, tracer: Tracer) -> None:
    with pytest.raises(InvalidError), spans.entered(tracer.begin("a", None)):
        raise InvalidError("unknown_labels", "secret-canary is no label. Leave it out.", param="secret-canary")
    with pytest.raises(ZeroDivisionError), spans.entered(tracer.begin("b", None)):
        raise ZeroDivisionError("secret-canary")
    tracer.close()
    kinds = [(one.failed, one.attributes) for one in collector.spans()]
    assert kinds == [(True, {"error.type": "unknown_labels"}), (True, {"error.type": "ZeroDivisionError"})]
    assert b"canary" not in collector.raw


def test_a_span_ends_with_its_block_and_so_does_what_is_current(tracer: Tracer) -> None:
    with spans.entered(tracer.begin("request")):
        assert spans.current() is not None
    assert spans.current() is None
    assert spans.traceparent() is None


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED=true", "OTEL_TRACES_EXPORTER=none"])
def test_the_standard_variables_switch_it_off(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*variable.split("="))
    assert Tracer("test").begin("request") is None


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("variable", ["OTEL_BSP_SCHEDULE_DELAY=soon", "OTEL_BSP_MAX_QUEUE_SIZE=-1"])
def test_settings_that_cannot_be_read_end_the_tracing_alone(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*variable.split("="))
    tracer = Tracer("test")
    with spans.entered(tracer.begin("request", INCOMING)), spans.part("inner"):
        assert spans.current() is None
    assert not tracer.on


@pytest.mark.parametrize("kind", ["refusing", "silent"])
def test_a_collector_that_is_not_there_holds_nobody_up(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with silent() as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", REFUSING if kind == "refusing" else url)
        tracer = Tracer("test")
        tracer.open()
        began = time.monotonic()
        for _ in range(5_000):  # more than the queue holds
            with spans.entered(tracer.begin("request")):
                pass
        told = time.monotonic()
        tracer.close()
        closed = time.monotonic()
    assert told - began < 2.5
    assert closed - told < 1.5


LOGGED = """
import structlog
from models_store import logs, spans

logs.configure()
tracer = spans.Tracer("test")
with spans.entered(tracer.begin("request")):
    structlog.get_logger().info("traced", expected=spans.current().trace_id)
structlog.get_logger().info("not traced")
"""


def test_log_lines_of_traced_work_carry_its_trace(collector: Collector) -> None:
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    done = subprocess.run([sys.executable, "-c", LOGGED], stderr=subprocess.PIPE, env=environment, check=True)
    traced, untraced = (json.loads(line) for line in done.stderr.decode().splitlines())
    assert traced["trace_id"] == traced["expected"]
    assert "trace_id" not in untraced


OFF = """
import sys
from models_store import logs, spans
from worker import child, lane, standby, supervisor, tasks

spans.prepare()
tracer = spans.Tracer("test")
tracer.open()
with spans.entered(tracer.begin("request", "{incoming}")), spans.part("inner"):
    spans.event("epoch")
tracer.close()
print([name for name in sys.modules if name.split(".")[0] == "opentelemetry"])
import app.main
print([name for name in sys.modules if name.startswith(("opentelemetry.exporter", "models_store.otlp"))])
"""


def test_without_a_collector_nothing_of_it_is_imported() -> None:
    """FastAPI imports OpenTelemetry's interface by itself, and redis the SDK's metrics where that is installed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    script = OFF.format(incoming=INCOMING)
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment, check=True)
    assert done.stdout.decode().splitlines() == ["[]", "[]"]


MISSING = """
import sys
sys.modules["opentelemetry.sdk"] = None
from models_store import spans
spans.prepare()
tracer = spans.Tracer("test")
with spans.entered(tracer.begin("request")), spans.part("inner"):
    print(tracer.on)
"""


def test_without_the_extra_it_says_what_to_install_and_goes_on(collector: Collector) -> None:
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    done = subprocess.run([sys.executable, "-c", MISSING], capture_output=True, env=environment, check=True)
    assert b"finetuned[tracing]" in done.stdout
    assert done.stdout.splitlines()[-1] == b"False"
