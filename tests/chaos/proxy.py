"""A TCP proxy in front of a broker's unix socket that can fall silent, as a network does that has lost its memory.

The product sees TCP. Nothing is closed or refused when the proxy falls silent: bytes are taken and lead nowhere.
"""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from tests import cluster

_CHUNK = 1 << 16


class Proxy:
    """Listens on a loopback port from the start, in a thread of its own, until it is closed."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._silent = False
        self._lines: set[asyncio.Event] = set()
        self._server: asyncio.Server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self._port: int = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """What the product is told as the broker's address."""
        return cluster.broker_at(self._port)

    def forget_connections(self) -> int:
        """Every connection of now leads nowhere from now on, and its ends are not told; gives their number."""
        return int(self._run(self._silence()))

    def swallow(self) -> None:
        """All connections, new ones too, lead nowhere."""
        self._silent = True
        self.forget_connections()

    def close(self) -> None:
        """End every connection and the thread."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _silence(self) -> int:
        lines = [line for line in self._lines if not line.is_set()]
        for line in lines:
            line.set()
        return len(lines)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent = asyncio.Event()
        if self._silent:
            silent.set()
        self._lines.add(silent)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            above, below = await asyncio.open_unix_connection(self._target)
            await asyncio.gather(_pump(reader, below, silent), _pump(above, writer, silent))
        self._lines.discard(silent)

    async def _end(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silent: asyncio.Event) -> None:
    try:
        while data := await reader.read(_CHUNK):
            if not silent.is_set():
                writer.write(data)
                await writer.drain()
    finally:
        if not silent.is_set():
            writer.close()
