"""No sequence of claim, renew, checkpoint, reap, cancel, release, abandon, fail, succeed breaks an invariant."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, invariant, multiple, rule
from sqlalchemy import select, update

from models_store import jobs, labels, leases
from models_store.database.engine import Database, now
from models_store.database.migrate import migrate
from models_store.database.tables import JobRow, ModelRow
from models_store.errors import ConflictError, LeaseLostError
from models_store.leases import Claim
from tests.models_store.rows import FAILURE, job
from tests.models_store.test_leases import publishing

STATES = {"queued", "running", "succeeded", "failed", "cancelled"}


class JobMachine(RuleBasedStateMachine):
    claims: Bundle[Claim] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(f"sqlite:///{Path(self.folder.name) / 'machine.db'}")
        migrate(self.database)
        self.fences: dict[str, int] = defaultdict(int)
        self.ends: dict[str, str] = {}

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    @rule(
        owner=st.sampled_from(["ann", "bob", "cho"]), priority=st.integers(-1, 1), requires=st.sampled_from(["", "gpu"])
    )
    def post(self, owner: str, priority: int, requires: str) -> None:
        new = jobs.NewJob("fine_tune", owner, "job", "ds_none", priority=priority, requires=requires)
        jobs.create(self.database, new)

    @rule(target=claims, offers=st.sampled_from(["", "gpu"]))
    def claim(self, offers: str) -> Claim | MultipleResults[Claim]:
        queued, running = self.waiting(offers)
        claim = leases.claim(self.database, "training", "w", labels.offered(offers))
        if claim is None:
            assert not queued, "nothing that it can run is left"
            return multiple()
        owner, priority = queued[claim.job_id]
        assert priority == max(priority for _, priority in queued.values()), "the highest priority goes first"
        rivals = {rival for rival, of_rival in queued.values() if of_rival == priority}
        assert running[owner] == min(running[rival] for rival in rivals), "the owner with fewest running jobs is next"
        return claim

    def waiting(self, offers: str) -> tuple[dict[str, tuple[str, int]], Counter[str]]:
        """Queued jobs that a worker can run, with owner and priority, and how many jobs each owner has running."""
        with self.database.read() as session:
            rows = list(session.scalars(select(JobRow)))
        fit = [row for row in rows if row.state == "queued" and row.requires in {"", offers}]
        running = Counter(row.owner for row in rows if row.state == "running")
        return {row.id: (row.owner, row.priority) for row in fit}, running

    @rule(claim=claims)
    def lose_lease(self, claim: Claim) -> None:
        with self.database.write() as session:
            mine = (JobRow.id == claim.job_id, JobRow.fence == claim.fence, JobRow.state == "running")
            session.execute(update(JobRow).where(*mine).values(lease_until=now() - 1))

    @rule()
    def reap(self) -> None:
        leases.reap(self.database)

    @rule(claim=claims)
    def cancel(self, claim: Claim) -> None:
        ended = job(self.database, claim.job_id).state in jobs.TERMINAL
        try:
            jobs.cancel(self.database, claim.job_id, owner=None)
        except ConflictError:
            assert ended

    @rule(
        claim=claims, act=st.sampled_from(["renew", "checkpoint", "release", "abandon", "fail", "cancelled", "succeed"])
    )
    def act(self, claim: Claim, act: str) -> None:
        before = job(self.database, claim.job_id)
        current = before.state == "running" and before.fence == claim.fence
        acts: dict[str, Callable[[], object]] = {
            "renew": lambda: leases.renew(self.database, claim),
            "checkpoint": lambda: leases.save_checkpoint(self.database, claim, {"kept": []}),
            "release": lambda: leases.release(self.database, claim),
            "abandon": lambda: leases.abandon(self.database, claim, FAILURE),
            "fail": lambda: leases.fail(self.database, claim, FAILURE),
            "cancelled": lambda: leases.cancelled(self.database, claim),
            "succeed": lambda: leases.succeed(self.database, claim, publishing(claim)),
        }
        try:
            acts[act]()
        except LeaseLostError:
            assert not current or (act == "succeed" and before.cancel_requested)
        else:
            assert current

    @invariant()
    def rows_are_sound(self) -> None:
        with self.database.read() as session:
            rows = list(session.scalars(select(JobRow)))
            models = Counter(session.scalars(select(ModelRow.job_id)))
        for row in rows:
            assert row.state in STATES
            assert row.fence >= self.fences[row.id], "the fence only grows"
            self.fences[row.id] = row.fence
            if row.id in self.ends:
                assert row.state == self.ends[row.id], "a terminal state never changes"
            elif row.state in jobs.TERMINAL:
                self.ends[row.id] = row.state
            assert models[row.id] == (row.state == "succeeded"), "one model for a success, none otherwise"
            assert (row.lease_until is not None) == (row.state == "running")
            assert 0 <= row.attempt <= row.fence
            assert 0 <= row.barren <= leases.MAX_BARREN
            assert (row.error is not None) == (row.state == "failed")


TestJobMachine = JobMachine.TestCase
TestJobMachine.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
