"""A service of the demo's own: ``finetuned up``, as a user would start it, on a free port."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from finetuned import Client, keyfile, parts
from finetuned.child import Child, stop_all
from finetuned.failure import UpError
from finetuned.port import free_port

_HOST: Final = "127.0.0.1"
_READY_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 60.0


@contextmanager
def running(data_dir: Path, log_dir: Path, environment: Mapping[str, str] | None = None) -> Iterator[Client]:
    """A client of a service that runs until the end of the block.

    Args:
        data_dir: what the service keeps; a folder that an earlier one left is used as it is.
        log_dir: for what it prints; made if it is missing.
        environment: settings on top of this process's environment.

    Raises:
        UpError: it does not start, or leaves a process behind.
    """
    port = free_port(_HOST)
    options = ["--host", _HOST, "--port", str(port), "--data-dir", str(data_dir)]
    service = Child("up", [*parts.command("finetuned"), "up", *options], _environment(environment or {}), log_dir)
    service.start()
    try:
        with _client(service, f"http://{_HOST}:{port}", data_dir) as client:
            yield client
    finally:
        stop_all([service], _STOP_SECONDS, lambda: False)


def _client(service: Child, url: str, data_dir: Path) -> Client:
    """Wait for the line that says ready: by then the key is there too."""
    deadline = time.monotonic() + _READY_SECONDS
    while not any("is ready" in line for line in service.last_lines()):
        if not service.running:
            raise UpError(service.obituary())
        if time.monotonic() > deadline:
            raise UpError(f"The service was not ready after {_READY_SECONDS:.0f} s. See {data_dir / 'logs'}.")
        time.sleep(0.1)
    return Client(url, keyfile.read(data_dir))


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """Nothing of a service that the user may have configured; only what the caller asks for."""
    ours = {name: value for name, value in parts.environment().items() if not name.startswith("FINETUNED_")}
    return {**ours, **more}
