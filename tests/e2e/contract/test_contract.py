"""The running service and its OpenAPI document say the same: schemathesis with every check, and with links."""

import re
from functools import partial
from typing import Any, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.contract.running import Run, Target, perform
from tests.e2e.service import Service

Answer = tuple[str, str, int]
"""Method, route, status."""
_SHORT: Final = partial(Run, examples=2, scenarios=6, longest_wait=1, thorough=False)
_LONG: Final = partial(Run, examples=60, scenarios=100, longest_wait=20, thorough=True)


def _answers(installation: Service) -> set[Answer]:
    """What the service has answered so far, by its own count."""
    families = text_string_to_metric_families(installation.client.get("/metrics").text)
    samples = [one for family in families for one in family.samples if one.name == "finetuned_http_requests_total"]
    return {(one.labels["method"], _route(one.labels["route"]), int(one.labels["status"])) for one in samples}


def _route(pattern: str) -> str:
    """As the document writes it, without the kind of a parameter."""
    return re.sub(r"{(\w+):\w+}", r"{\1}", pattern)


def _undocumented(installation: Service) -> set[Answer]:
    """Answers of described operations with a status that the document does not give them."""
    paths: dict[str, Any] = installation.client.get("/openapi.json").json()["paths"]
    return {
        (method, route, status)
        for method, route, status in _answers(installation)
        if method.lower() in paths.get(route, {}) and str(status) not in paths[route][method.lower()]["responses"]
    }


def _unreached(installation: Service) -> set[tuple[str, str]]:
    """Operations that never succeeded: nothing is known of their answers."""
    paths: dict[str, Any] = installation.client.get("/openapi.json").json()["paths"]
    described = {(method.upper(), route) for route, methods in paths.items() for method in methods}
    return described - {(method, route) for method, route, status in _answers(installation) if status < 300}


def _hold(runs: tuple[Run, ...], target: Target, installation: Service, seconds: float) -> None:
    """Perform the runs; no check may fail, and no status may come that the document does not have."""
    for run in runs:
        said = perform(run, target, seconds)
        counts = re.search(r"(\d+) generated, (\d+) passed", said)
        assert counts, said
        assert int(counts[1]) == int(counts[2]) > 100, said
    assert _undocumented(installation) == set()


@pytest.mark.timeout(600)
def test_the_service_keeps_the_contract_that_it_describes(target: Target, installation: Service) -> None:
    """The worker is at rest: its jobs would take longer than all the requests. In the long run it works.

    Which operations so few requests reach is left to chance; the long run has to reach all of them.
    """
    installation.end("worker")
    users = _SHORT(("ann", "bob"), seed=2, phases=("fuzzing", "stateful"))
    _hold((users, _SHORT(("admin",), seed=1)), target, installation, 400)


@pytest.mark.slow
@pytest.mark.timeout(4000)
def test_the_service_keeps_its_contract_for_long(target: Target, installation: Service) -> None:
    if not installation.children("worker"):
        installation.start_worker()
    _hold((_LONG(("ann", "bob"), seed=11), _LONG(("admin",), seed=12)), target, installation, 1900)
    assert _unreached(installation) == set()
