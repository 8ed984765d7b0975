"""Logs: one JSON object a line on stderr, so that no text of a client can forge a line. Keys are never written."""

import contextlib
import logging
import sys

import structlog

from models_store import spans


class _Stderr:
    """Writes lines; one that cannot be written (a full disk behind stderr) is lost, and ends nothing."""

    def msg(self, message: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{message}\n")
            sys.stderr.flush()

    log = debug = info = warn = warning = error = err = fatal = critical = exception = failure = msg


def configure() -> None:
    """Send structlog's and the standard library's records through the same JSON renderer.

    The former do not pass through the latter, which would take a tenth of a short request's time.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        spans.with_trace_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=[*shared, *rendering],
        logger_factory=lambda *_: _Stderr(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    for chatty in ("httpx", "alembic", "uvicorn.access"):  # the guard writes a line a request
        logging.getLogger(chatty).setLevel(logging.WARNING)
