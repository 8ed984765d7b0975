import socket

from app.settings import AppSettings
from tests.app.service import ADMIN_KEY, assert_problem, running, until


def test_when_all_places_are_taken_the_answer_is_503_with_retry_after(settings: AppSettings) -> None:
    one = settings.model_copy(update={"max_waiting_predictions": 1})
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n"
    with running(one) as service, service.client() as client, socket.create_connection(service.address) as raw:
        raw.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
        until(lambda: client.post("/predict", json={}).status_code == 503)
        answer = client.post("/predict", json={})
        assert_problem(answer, 503, "overloaded")
        assert int(answer.headers["retry-after"]) > 0
        raw.close()
        until(lambda: client.post("/predict", json={}).status_code == 422, what="the place is given back")
