"""Token buckets by a clock that the test holds."""

import pytest

from app.rates import Buckets, Rates
from app.settings import AppSettings
from models_store.errors import TooManyError
from models_store.keys import Caller

ANN, BOB = Caller("ann", "user", key="key_a"), Caller("bob", "user", key="key_b")


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """As ``time.monotonic``."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _taken(buckets: Buckets, key: str, times: int) -> int:
    """How many tokens of so many tries there were."""
    return sum(not buckets.take(key) for _ in range(times))


def _rates(clock: Clock, requests: int = 0, starts: int = 0) -> Rates:
    settings = AppSettings(max_requests_per_second=requests, max_starts_per_minute=starts)
    return Rates(settings, clock)


def test_a_full_bucket_gives_all_its_tokens_at_once_and_no_more(clock: Clock) -> None:
    assert _taken(Buckets(5, 1.0, clock), "a", 20) == 5


def test_a_token_comes_back_after_its_share_of_the_time(clock: Clock) -> None:
    buckets = Buckets(5, 1.0, clock)
    _taken(buckets, "a", 5)
    assert buckets.wait("a") == pytest.approx(0.2, abs=1e-3)
    clock.now += 0.2
    assert _taken(buckets, "a", 5) == 1


def test_nobody_gets_more_than_the_rate_over_a_long_time(clock: Clock) -> None:
    buckets = Buckets(10, 1.0, clock)
    got = 0
    for _ in range(1000):
        got += _taken(buckets, "a", 3)
        clock.now += 0.01
    assert got == pytest.approx(10 + 10 * 10, abs=1)


def test_a_refused_try_takes_nothing(clock: Clock) -> None:
    buckets = Buckets(1, 1.0, clock)
    _taken(buckets, "a", 100)
    clock.now += 1.0
    assert _taken(buckets, "a", 1) == 1


def test_each_key_has_a_bucket_of_its_own(clock: Clock) -> None:
    buckets = Buckets(1, 1.0, clock)
    assert (_taken(buckets, "a", 2), _taken(buckets, "b", 2)) == (1, 1)


def test_without_tokens_everybody_is_taken(clock: Clock) -> None:
    buckets = Buckets(0, 60.0, clock)
    assert _taken(buckets, "a", 1000) == 1000
    assert len(buckets) == 0


def test_a_million_keys_do_not_fill_the_memory_and_who_is_refused_stays_so(clock: Clock) -> None:
    buckets = Buckets(1, 60.0, clock)
    buckets.take("attacker")
    for number in range(30_000):
        buckets.take(str(number))
        if not number % 1000:
            assert buckets.wait(str(number)) > 0
    assert len(buckets) <= 10_000


def test_what_is_full_again_is_forgotten_first(clock: Clock) -> None:
    buckets = Buckets(1, 60.0, clock)
    for number in range(9_999):
        buckets.take(f"old {number}")
    clock.now += 61
    buckets.take("busy")
    buckets.take("one more")  # this is one too many: the old ones go
    assert len(buckets) == 2
    assert buckets.wait("busy") > 0


def test_a_key_that_asks_too_often_is_told_for_how_long_to_wait(clock: Clock) -> None:
    rates = _rates(clock, requests=2)
    for _ in range(2):
        rates.check(ANN, "GET", "/jobs")
    with pytest.raises(TooManyError) as caught:
        rates.check(ANN, "GET", "/jobs")
    assert (caught.value.code, caught.value.retry_after) == ("too_many_requests", 1)
    rates.check(BOB, "GET", "/jobs")


@pytest.mark.parametrize(
    "path",
    [
        "/datasets",
        "/datasets/",
        "/checkpoints",
        "/weights",
        "/jobs",
        "/jobs/preflight",
        "/jobs/job_1/retry",
        "/models/name@with/slash@production/evaluate",
    ],
)
def test_what_starts_work_has_a_rate_of_its_own(path: str, clock: Clock) -> None:
    rates = _rates(clock, starts=1)
    rates.check(ANN, "POST", path)
    with pytest.raises(TooManyError) as caught:
        rates.check(ANN, "POST", path)
    assert caught.value.retry_after == 60
    rates.check(ANN, "GET", path)


@pytest.mark.parametrize(("method", "path"), [("POST", "/predict"), ("POST", "/jobs/job_1/cancel"), ("GET", "/jobs")])
def test_what_starts_nothing_is_not_counted_as_a_start(method: str, path: str, clock: Clock) -> None:
    rates = _rates(clock, starts=1)
    for _ in range(10):
        rates.check(ANN, method, path)
