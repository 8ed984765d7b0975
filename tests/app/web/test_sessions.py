import httpx
from sqlalchemy import select, update

from models_store.database.tables import SessionRow
from tests.app.service import Running, assert_problem
from tests.app.web.conftest import signed_in


def test_the_database_holds_no_cookie(service: Running, browser: httpx.Client) -> None:
    with service.database.read() as session:
        (row,) = session.scalars(select(SessionRow))
    assert row.sha256 != browser.cookies["finetuned_session"]
    assert browser.cookies["finetuned_session"] not in str(vars(row))


def test_a_session_ends_when_its_time_is_over(service: Running, browser: httpx.Client) -> None:
    with service.database.write() as session:
        session.execute(update(SessionRow).values(expires_at=1.0))
    service.services.authenticator.forget()
    assert_problem(browser.get("/jobs"), 401, "session_ended")
    with signed_in(service), service.database.read() as session:
        assert len(session.scalars(select(SessionRow)).all()) == 1, "the old one was removed"
