"""A rank's failure is the job's, in its own words; but for one that is nobody's fault."""

from models_store.errors import InvalidError, StorageUnavailableError
from worker.child import as_failure
from worker.training.devices.ranks import failure


def test_an_error_keeps_its_code_its_words_and_its_field() -> None:
    error = InvalidError("diverged", "The loss is no number. Choose a smaller rate.", param="training.head_lr")
    assert failure(as_failure(error)).as_json() == error.as_json()


def test_a_store_that_does_not_answer_gives_the_job_back() -> None:
    assert isinstance(failure(as_failure(StorageUnavailableError())), StorageUnavailableError)
