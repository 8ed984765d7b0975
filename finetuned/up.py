"""``finetuned up``: the whole service on one machine with nothing else installed. It ends as a whole, too."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

import httpx

from finetuned import keyfile, parts
from finetuned.broker import Broker
from finetuned.child import Child, stop_all
from finetuned.failure import UpError
from finetuned.lock import DataDirLock
from finetuned.port import free_port, require_free

Say = Callable[[str], None]

_READY_SECONDS: Final = 90.0
_GRACE_SECONDS: Final = 35.0
"""Longer than the 30 s that the worker gives a job to write its checkpoint."""
_BROKER_GRACE_SECONDS: Final = 10.0
_PORT_GRACE_SECONDS: Final = 10.0
_ROUND_SECONDS: Final = 0.2
_BROKER_CHECK_SECONDS: Final = 3.0


@dataclass(frozen=True)
class Options:
    """What ``finetuned up`` is told. A ``port`` of 0 takes a free one."""

    host: str
    port: int
    data_dir: Path

    @property
    def url(self) -> str:
        """Where this machine reaches the service."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class _StoppedError(Exception):
    """The user wants to stop while the service is still starting."""


class _Signals:
    """Counts the requests to stop. A handler that does no more can interrupt anything."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        self._before = {sig: signal.signal(sig, self._on_signal) for sig in wanted}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sig, handler in self._before.items():
            signal.signal(sig, handler)

    def _on_signal(self, _signum: int, _frame: FrameType | None) -> None:
        self.count += 1


def run(host: str, port: int, data_dir: Path, say: Say) -> None:
    """Start everything, keep it running, and return when a signal has stopped it all.

    Raises:
        UpError: something keeps the service from starting; whatever had started was stopped.
    """
    os.umask(0o077)
    options = Options(host, port or free_port(host), data_dir.resolve())
    with DataDirLock(options.data_dir, options.url) as lock, _Signals() as signals:
        require_free(options.host, options.port, _PORT_GRACE_SECONDS if lock.left_behind else 0.0)
        service = _Service(options, signals, say)
        try:
            service.start()
            service.tend()
        except _StoppedError:
            say("Stopped before it was ready.")
        finally:
            service.stop()


class _Service:
    """The processes, in the order in which they start."""

    def __init__(self, options: Options, signals: _Signals, say: Say) -> None:
        self._options = options
        self._signals = signals
        self._say = say
        self._logs = options.data_dir / "logs"
        self._broker: Broker | None = None
        self._broker_child: Child | None = None
        self._children: list[Child] = []

    def start(self) -> None:
        """Start all parts, and return when the service is ready."""
        key = self._key()
        broker_url = os.environ.get("FINETUNED_REDIS_URL") or self._start_broker()
        settings = {"FINETUNED_DATA_DIR": str(self._options.data_dir), "FINETUNED_REDIS_URL": broker_url}
        self._migrate(settings)
        listen = {"FINETUNED_HOST": self._options.host, "FINETUNED_PORT": str(self._options.port)}
        self._start_part("api", parts.API, settings | listen | {"FINETUNED_API_KEY": key})
        self._start_part("worker", parts.WORKER, settings)
        self._wait_until("not ready", self._missing, _READY_SECONDS)
        self._say(
            f"finetuned is ready: {self._options.url}\n"
            f"  documentation  {self._options.url}/docs\n"
            f"  data           {self._options.data_dir}\n"
            f"Stop it with Ctrl-C, or with: finetuned down --data-dir {self._options.data_dir}"
        )

    def tend(self) -> None:
        """Restart what dies, until a signal comes."""
        check_broker_at = 0.0
        while not self._signals.count:
            for child in self._running_children():
                child.tend(self._say)
            if time.monotonic() >= check_broker_at:
                self._replace_lost_broker()
                check_broker_at = time.monotonic() + _BROKER_CHECK_SECONDS
            time.sleep(_ROUND_SECONDS)

    def stop(self) -> None:
        """First what uses the broker, then the broker, if it is ours."""
        if not self._running_children():
            return
        self._say("Stopping: a running job writes its checkpoint first. Ctrl-C again ends it at once.")
        so_far = self._signals.count

        def hurried() -> bool:
            return self._signals.count > so_far

        stop_all(self._children, _GRACE_SECONDS, hurried)
        stop_all([self._broker_child] if self._broker_child else [], _BROKER_GRACE_SECONDS, hurried)
        if self._broker is not None:
            self._broker.close()
        self._say("Stopped.")

    def _running_children(self) -> list[Child]:
        return ([self._broker_child] if self._broker_child else []) + self._children

    def _key(self) -> str:
        given = os.environ.get("FINETUNED_API_KEY")
        if given:
            return given
        key, made = keyfile.read_or_make(self._options.data_dir)
        if made:
            where = self._options.data_dir / "admin.key"
            self._say(f"Admin key for {self._options.url} (shown once; kept in {where}):\n  {key}")
        return key

    def _start_broker(self) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FINETUNED_")}
        self._broker = Broker(self._options.data_dir, environment, self._logs)
        self._broker_child = self._broker.child()
        if self._broker_child is not None:
            self._broker_child.start()
        self._wait_until("the broker does not answer", self._broker_missing, _READY_SECONDS)
        return self._broker.url

    def _replace_lost_broker(self) -> None:
        """A server that was there before us may go away; then ours takes its place."""
        if self._broker is None or self._broker_child is not None or self._broker.answers():
            return
        self._broker_child = self._broker.child()
        if self._broker_child is not None:
            self._broker_child.start()

    def _migrate(self, settings: dict[str, str]) -> None:
        migration = Child("migrate", parts.command(parts.MIGRATE), parts.environment(**settings), self._logs)
        migration.start()
        if migration.wait() != 0:
            raise UpError(migration.obituary())

    def _start_part(self, name: str, module: str, settings: dict[str, str]) -> None:
        environment = parts.environment()
        environment.pop("FINETUNED_API_KEY", None)  # no business of the worker's
        child = Child(name, parts.command(module), environment | settings, self._logs)
        child.start()
        self._children.append(child)

    def _wait_until(self, what: str, missing: Callable[[], str | None], seconds: float) -> None:
        """Wait until nothing is missing. Who dies in this time would die again: that is not tried."""
        deadline = time.monotonic() + seconds
        while (reason := missing()) is not None:
            if self._signals.count:
                raise _StoppedError
            for child in self._running_children():
                if not child.running:
                    raise UpError(child.obituary())
            if time.monotonic() > deadline:
                raise UpError(f"After {seconds:.0f} s {what}: {reason}. See {self._logs}.")
            time.sleep(_ROUND_SECONDS)

    def _broker_missing(self) -> str | None:
        return None if self._broker is None or self._broker.answers() else str(self._broker.socket)

    def _missing(self) -> str | None:
        try:
            response = httpx.get(f"{self._options.url}/readyz", timeout=10.0, trust_env=False)
        except httpx.TransportError:
            return "the API does not answer"
        return None if response.status_code == httpx.codes.OK else response.text
