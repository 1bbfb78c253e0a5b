"""The API keeps to its own OpenAPI document, whatever it is asked: no failure inside, no undescribed answer."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance, unsupported_method

EXAMPLES = 60
NOT_CHECKED = [
    positive_data_acceptance,  # moments of the year 1 are valid, and refused one by one
    unsupported_method,  # has a test of its own
]
ASKED = (
    ("GET", "/v1/users/{user_id}/recommendations"),
    ("POST", "/v1/recommendations"),
    ("GET", "/v1/items/{item_id}/similar"),
    ("POST", "/v1/events"),
)
PLAIN = (("GET", "/health/live"), ("GET", "/health/ready"), ("GET", "/metrics"))


@pytest.mark.parametrize(("method", "path"), [*ASKED, *PLAIN])
def test_what_is_asked_rightly_is_answered_as_it_is_described(api: Any, method: str, path: str) -> None:
    answers_as_described(api, method, path, GenerationMode.POSITIVE)


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_what_is_asked_wrongly_is_answered_as_it_is_described(api: Any, method: str, path: str) -> None:
    answers_as_described(api, method, path, GenerationMode.NEGATIVE)


def answers_as_described(api: Any, method: str, path: str, mode: GenerationMode) -> None:
    operation = schemathesis.openapi.from_url(f"{api.url}/openapi.json")[path][method]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers(case: Any) -> None:
        case.call_and_validate(excluded_checks=NOT_CHECKED, session=api.session)

    answers()
