"""Problem details, as RFC 9457 has them."""

from __future__ import annotations

import json

from ollamaspace.dialects.problem import problem
from ollamaspace.errors import BadRequest, NotFound, TooMany


def test_says_what_is_wrong_for_people_and_programs() -> None:
    assert json.loads(problem(NotFound("There is nothing."), "r-1")) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing.",
        "code": "not_found",
        "request_id": "r-1",
    }


def test_names_the_field_where_there_is_one() -> None:
    assert json.loads(problem(BadRequest("model is needed.", "model"), None))["field"] == "model"
    assert "field" not in json.loads(problem(BadRequest("The body is empty."), None))
    assert "request_id" not in json.loads(problem(TooMany("Later.", 3), None))
