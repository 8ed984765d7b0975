"""How long a job waited is read from its history."""

from bench.job_overhead import until_work


def test_a_job_waits_from_its_first_event_to_its_first_progress() -> None:
    events = [
        {"type": "status", "created_at": "2026-01-01T00:00:00.000Z"},
        {"type": "status", "created_at": "2026-01-01T00:00:00.250Z"},
        {"type": "progress", "created_at": "2026-01-01T00:00:00.750Z"},
        {"type": "progress", "created_at": "2026-01-01T00:00:09.000Z"},
    ]
    assert until_work(events) == 0.75
