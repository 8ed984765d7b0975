"""Programs that tests need and pip does not bring."""

import os
from typing import NoReturn

import pytest


def missing(program: str) -> NoReturn:
    """Skip on a developer's machine; in CI everything has to be there."""
    if os.environ.get("CI"):
        pytest.fail(f"{program} is not installed; .ci/run has to install it")
    pytest.skip(f"{program} is not installed")
