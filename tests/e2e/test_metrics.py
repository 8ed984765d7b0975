"""What the children of workers count reaches ``/metrics`` of the API."""

from tests.e2e import sets
from tests.e2e.conftest import LITE0, PICTURES
from tests.e2e.service import Service
from tests.scraped import value


def test_a_second_job_on_the_same_pictures_takes_its_features_from_the_cache_and_that_is_counted(
    service: Service, pictures: str, picture_model: str
) -> None:
    def features(source: str) -> float:
        return value(service.client, "finetuned_features_total", source=source)

    computed, cached = features("computed"), features("cache")
    attempts = value(service.client, "finetuned_job_attempts_total", kind="fine_tune")
    assert computed > 0
    job = service.finished(service.post_job(pictures, LITE0, strategy="freeze", training=PICTURES))
    assert job["status"] == "succeeded", job["error"]
    assert (features("computed"), features("cache")) == (computed, cached + 36)
    assert value(service.client, "finetuned_job_attempts_total", kind="fine_tune") == attempts + 1
    files = {"file": ("blue.jpg", sets.picture("blue", 1))}
    assert service.client.post("/predict", data={"model": picture_model}, files=files).is_success
    assert value(service.client, "finetuned_engine_seconds_count") > 0
