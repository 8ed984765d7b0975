"""What is sent again, what never is, and when."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from finetuned import ApiError, Client
from finetuned.port import free_port
from tests.finetuned.stub import Mishap, Stub, serving

LOST = Mishap(0)


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as stub:
        yield stub


@pytest.fixture
def client(stub: Stub) -> Iterator[Client]:
    with Client(stub.url, "ft_key", timeout=20, patience=10) as client:
        assert client.healthz()  # so that it knows the service: silence is a restart from now on
        stub.headers.clear()
        stub.times.clear()
        yield client


def _keys(stub: Stub) -> list[str | None]:
    return [headers.get("idempotency-key") for headers in stub.headers]


@pytest.mark.parametrize("mishap", [LOST, Mishap(503), Mishap(502), Mishap(504), Mishap(429, "0")], ids=str)
def test_a_read_is_repeated(client: Client, stub: Stub, mishap: Mishap) -> None:
    stub.mishaps = [mishap, mishap]

    assert client.job("job_1").name == "a job"
    assert len(stub.headers) == 3


@pytest.mark.parametrize("mishap", [LOST, Mishap(503)], ids=str)
def test_a_job_is_posted_again_under_the_same_key(client: Client, stub: Stub, mishap: Mishap) -> None:
    stub.mishaps = [mishap]

    client.create_job(dataset="ds_1", backbone="hf/x")

    first, second = _keys(stub)
    assert first is not None
    assert first == second


def test_each_job_has_a_key_of_its_own(client: Client, stub: Stub) -> None:
    client.create_job(dataset="ds_1", backbone="hf/x")
    client.create_job(dataset="ds_1", backbone="hf/x")

    first, second = _keys(stub)
    assert first != second


@pytest.mark.parametrize("mishap", [LOST, Mishap(503)], ids=str)
def test_a_data_set_is_sent_again_from_its_start_under_the_same_key(
    client: Client, stub: Stub, tmp_path: Path, mishap: Mishap
) -> None:
    (tmp_path / "pets" / "cats").mkdir(parents=True)
    (tmp_path / "pets" / "cats" / "1.png").write_bytes(b"a cat")
    stub.mishaps = [mishap]

    client.upload_dataset(tmp_path / "pets", wait=False)

    first, second = _keys(stub)
    assert first == second
    assert len({upload["content"] for upload in stub.uploads}) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.evaluate("mdl_1", "ds_1"),
        lambda client: client.cancel_job("job_1"),
        lambda client: client.add_weights("hf/x", __file__),
    ],
    ids=["evaluate", "cancel", "weights"],
)
@pytest.mark.parametrize("mishap", [LOST, Mishap(503), Mishap(504)], ids=str)
def test_what_may_have_been_done_is_not_done_twice(
    client: Client, stub: Stub, mishap: Mishap, call: Callable[[Client], Any]
) -> None:
    stub.mishaps = [mishap]

    with pytest.raises(ApiError):
        call(client)

    assert len(stub.headers) == 1


def test_what_was_put_off_was_not_done_and_is_sent_again(client: Client, stub: Stub) -> None:
    stub.mishaps = [Mishap(429, "0")]

    assert client.cancel_job("job_1").cancel_requested
    assert len(stub.headers) == 2


@pytest.mark.parametrize("status", [400, 409, 422, 429, 500])
def test_a_refusal_is_final(client: Client, stub: Stub, status: int) -> None:
    stub.mishaps = [Mishap(status)]

    with pytest.raises(ApiError, match="Come again") as refused:
        client.job("job_1")

    assert (refused.value.status, len(stub.headers)) == (status, 1)


@pytest.mark.parametrize("status", [429, 503])
def test_the_time_that_the_service_names_is_kept(client: Client, stub: Stub, status: int) -> None:
    stub.mishaps = [Mishap(status, "1")]

    client.job("job_1")

    assert 1.0 <= stub.times[1] - stub.times[0] < 3.0


def test_a_time_beyond_our_patience_is_not_waited_for(client: Client, stub: Stub) -> None:
    stub.mishaps = [Mishap(503, "3600")]

    with pytest.raises(ApiError, match="not_now"):
        client.job("job_1")

    assert len(stub.headers) == 1


def test_patience_ends(stub: Stub) -> None:
    stub.mishaps = [Mishap(503)] * 100

    with Client(stub.url, "ft_key", patience=1) as client, pytest.raises(ApiError, match="not_now"):
        client.job("job_1")

    assert 1 < len(stub.headers) < 10


def test_an_address_that_never_answered_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("finetuned.client.blocking.time.sleep", slept.append)

    with Client(f"http://127.0.0.1:{free_port('127.0.0.1')}", patience=3600) as client, pytest.raises(ApiError):
        client.job("job_1")

    assert max(slept) <= 2.0
