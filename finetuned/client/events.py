"""A job's events as they come, over as many connections as it takes."""

import json
from collections.abc import Iterator
from typing import Final

import httpx

from finetuned.client.effects import Call, Feed, Item, Op, Read, Sleep
from finetuned.client.records import Event
from finetuned.client.requests import send

ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})
_SILENCE_SECONDS: Final = 45.0
"""The service sends a comment every 15 seconds: after this long the connection is dead."""
_AGAIN_SECONDS: Final = 1.0


class Stream:
    """The lines of a stream of server-sent events, put together."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def take(self, line: str) -> Iterator[Event]:
        """The event that this line completes, if it does."""
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return
        fields, self._fields = self._fields, {}
        if "data" in fields and fields.get("id", "").isdigit():
            data = json.loads(fields["data"])
            yield Event.of({"id": int(fields["id"]), "type": fields.get("event", "log"), "data": data})


def follow(route: str, after: int = 0) -> Feed[Event]:
    """Events after ``after``, those to come as well, until the job has ended.

    A connection that breaks is made anew, and goes on after the last event that was seen.
    """
    last = after
    while True:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": str(last)} if last else {})}
        call = Call("GET", route, headers=headers, repeatable=True, read_seconds=_SILENCE_SECONDS)
        response = yield from send(call, stream=True)
        if response.status_code == httpx.codes.NO_CONTENT:
            return
        stream = Stream()
        while (line := (yield from _line())) is not None:
            for event in stream.take(line):
                last = event.id
                yield Item(event)
                if event.type == "status" and event.data.get("status") in ENDED:
                    return
        yield Sleep(_AGAIN_SECONDS)


def _line() -> Op[str | None]:
    """The next line; a connection that broke has none."""
    try:
        line: str | None = yield Read(lines=True)
    except httpx.TransportError:
        return None
    return line
