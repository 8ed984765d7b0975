"""``python -m app``: one process of the HTTP service."""

import contextlib
import os
import threading
from types import FrameType

import uvicorn

from app.main import create_app
from app.protocol import bounded
from app.settings import AppSettings
from models_store import logs, processors
from models_store.database.engine import Database
from models_store.database.migrate import migrate

_GRACEFUL_SECONDS = 5


class Server(uvicorn.Server):
    """Says at once that the process is asked to end, so that open streams do not hold it up."""

    def __init__(self, config: uvicorn.Config, stopping: threading.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """uvicorn's signal handler."""
        self._stopping.set()
        super().handle_exit(sig, frame)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    os.environ.update(processors.openmp(os.environ))  # for torch, which is not imported yet
    logs.configure()
    settings = AppSettings()
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not settings.database_url:
        _migrate(settings)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        http=bounded(settings.max_head_bytes, settings.head_seconds),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
        ws="none",
    )
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after an orderly end
        Server(config, app.state.services.stopping).run()


def _migrate(settings: AppSettings) -> None:
    """The embedded database is this service's own; any other is migrated by its operator (``finetuned migrate``)."""
    database = Database(settings.resolved_database_url)
    migrate(database)
    database.close()


if __name__ == "__main__":
    main()
