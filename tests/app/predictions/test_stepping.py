"""Requests are gone through step by step: none holds a thread while it waits for an engine."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextvars import ContextVar

import pytest
import torch
from torch import Tensor

from app.predictions import stepping as stepping_module
from app.predictions.stepping import LONG, Stepping, Steps
from app.predictions.tickets import Ticket
from models_store.errors import NotFoundError, UnavailableError
from models_store.predictor import Judged
from models_store.preprocessing.protocol import Prepared

JUDGED = Judged(torch.zeros(2), [0.5, 0.5], None)


class Nothing:
    """What a ticket here asks for; nothing computes it."""

    key, parallel = "nothing", 1

    def run(self, items: Sequence[Prepared]) -> Tensor:
        raise NotImplementedError

    def judge(self, features: Tensor) -> list[Judged]:
        raise NotImplementedError

    def length(self, item: Prepared) -> int:
        del item
        return 1


def asked() -> Ticket:
    """A ticket for one item."""
    return Ticket(Nothing(), [Prepared({}, {})], 0.0)


class Awaited(Ticket):
    """One that tells when it is waited for."""

    def __init__(self) -> None:
        super().__init__(Nothing(), [Prepared({}, {})], 0.0)
        self.awaited = threading.Event()

    def then(self, action: Callable[[], object]) -> None:
        super().then(action)
        self.awaited.set()


@pytest.fixture
def stepping() -> Iterator[Stepping]:
    made = Stepping(few=1, most=2)
    yield made
    made.stop()


def named() -> str:
    return threading.current_thread().name


def waiting(ticket: Ticket, begun: list[str]) -> Steps[int]:
    """Steps that wait for a ticket; they tell their threads."""
    begun.append(named())
    yield ticket
    begun.append(named())
    return len(ticket.judged())


def test_who_waits_for_an_engine_holds_no_thread(stepping: Stepping) -> None:
    """There is one thread, and both have begun before either is answered."""
    tickets, names = [asked(), asked()], list[str]()

    async def see() -> list[int]:
        coming = [asyncio.create_task(stepping.through(waiting(ticket, names))) for ticket in tickets]
        while len(names) < 2:
            await asyncio.sleep(0.001)
        for ticket in tickets:
            await asyncio.to_thread(ticket.give, 0, JUDGED)
        return await asyncio.gather(*coming)

    assert asyncio.run(see()) == [1, 1]
    assert len(names) == 4
    assert len({*names}) == 1


def test_a_ticket_that_is_done_already_is_not_waited_for(stepping: Stepping) -> None:
    ticket = asked()
    ticket.give(0, JUDGED)
    assert asyncio.run(stepping.through(waiting(ticket, []))) == 1


def test_a_long_step_and_those_behind_it_are_in_threads_of_their_own(stepping: Stepping) -> None:
    gate, ticket = threading.Event(), asked()

    def long() -> Steps[list[str]]:
        names = [named()]
        yield LONG
        assert gate.wait(10)
        names.append(named())
        yield ticket
        return [*names, named()]

    def short() -> Steps[str]:
        yield from ()
        return named()

    async def see() -> tuple[list[str], str]:
        first = asyncio.create_task(stepping.through(long()))
        second = await stepping.through(short())
        assert not first.done()
        gate.set()
        ticket.give(0, JUDGED)
        return await first, second

    (begun, *others), few = asyncio.run(see())
    assert begun == few
    assert few not in others


def test_short_steps_go_on_where_the_few_are_held_up(stepping: Stepping, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a database that does not answer; only the first of them waits, and later ones share threads again."""
    monkeypatch.setattr(stepping_module, "_PATIENCE", 1.0)  # three others take less, whatever else the machine does
    gate = threading.Event()

    def stuck() -> Steps[bool]:
        yield from ()
        return gate.wait(10)

    def short() -> Steps[str]:
        yield from ()
        return named()

    async def see() -> list[str]:
        first = asyncio.create_task(stepping.through(stuck()))
        await asyncio.sleep(0)
        names = [await stepping.through(short())]
        async with asyncio.timeout(1.0):
            names += [await stepping.through(short()) for _ in range(3)]
        assert not first.done()
        gate.set()
        assert await first
        while not (name := await stepping.through(short())).startswith("requests"):
            await asyncio.sleep(0.001)
        return [*names, name]

    *others, last = asyncio.run(see())
    assert len(others) == 4
    assert [name for name in others if name.startswith("requests")] == []
    assert last.startswith("requests")


def test_every_step_is_in_the_context_of_its_request(stepping: Stepping) -> None:
    request: ContextVar[str] = ContextVar("request")

    def steps() -> Steps[list[str]]:
        ticket, seen = asked(), [request.get()]
        ticket.give(0, JUDGED)
        yield ticket
        seen.append(request.get())
        yield LONG
        return [*seen, request.get()]

    async def one(name: str) -> list[str]:
        request.set(name)
        return await stepping.through(steps())

    async def see() -> list[list[str]]:
        return await asyncio.gather(*(asyncio.create_task(one(name)) for name in ("a", "b")))

    assert asyncio.run(see()) == [["a"] * 3, ["b"] * 3]


@pytest.mark.parametrize("error", [NotFoundError("no", "No."), TimeoutError("the database"), CancelledError()])
@pytest.mark.parametrize("long", [False, True])
def test_an_error_of_a_step_is_that_of_the_request(stepping: Stepping, error: Exception, *, long: bool) -> None:
    def steps() -> Steps[None]:
        if long:
            yield LONG
        raise error

    with pytest.raises(type(error)) as raised:
        asyncio.run(stepping.through(steps()))
    assert raised.value is error


def test_what_was_asked_does_not_outlive_its_error(stepping: Stepping) -> None:
    """An error knows the frames that it came through. Where these know the error, all of it waits for the collector."""

    class Body:
        """Of a request; it may have megabytes."""

    bodies: list[weakref.ref[Body]] = []

    def steps(body: Body) -> Steps[None]:
        bodies.append(weakref.ref(body))
        yield from ()
        raise NotFoundError("no", f"Not in {body}.")

    async def see() -> str:
        try:
            await stepping.through(steps(Body()))
        except NotFoundError as error:  # pytest would keep it
            return error.code
        return ""

    gc.disable()
    try:
        assert asyncio.run(see()) == "no"
        assert [body() for body in bodies] == [None]
    finally:
        gc.enable()


@pytest.mark.parametrize("running", [False, True])
def test_the_steps_of_a_task_that_is_cancelled_are_closed(stepping: Stepping, *, running: bool) -> None:
    """So that what waits in the queue is taken back."""
    gate, begun, closed = threading.Event(), threading.Event(), threading.Event()
    ticket = Awaited()

    def steps() -> Steps[None]:
        try:
            begun.set()
            if running:
                gate.wait(10)
            yield ticket
        finally:
            closed.set()

    async def see() -> None:
        coming = asyncio.create_task(stepping.through(steps()))
        assert await asyncio.to_thread((begun if running else ticket.awaited).wait, 10)
        coming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await coming
        gate.set()

    asyncio.run(see())
    assert closed.wait(10)


def test_who_comes_after_the_end_is_told_so(stepping: Stepping) -> None:
    stepping.stop()
    with pytest.raises(UnavailableError) as refused:
        asyncio.run(stepping.through(waiting(asked(), [])))
    assert refused.value.code == "stopping"
