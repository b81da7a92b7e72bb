from __future__ import annotations

import math

import pytest

from ollamaspace.embedded import options
from ollamaspace.embedded.replies import Refusal


def test_what_is_not_said_has_ollamas_default() -> None:
    body = options.sampling({}, window=100)
    assert (body["temperature"], body["top_p"], body["min_p"], body["seed"]) == (0.8, 0.9, 0.0, -1)
    assert body["n_predict"] == 1000


def test_options_go_on_under_llama_cpps_names() -> None:
    asked = {"num_predict": 5.0, "stop": ["."], "temperature": 0, "no_such_option": 1, "num_gpu": 1}
    body = options.sampling(asked, window=100)
    assert (body["n_predict"], body["stop"], body["temperature"]) == (5, ["."], 0)
    assert "num_gpu" not in body


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"num_ctx": "big"}, 'option "num_ctx" must be of type integer'),
        ({"seed": True}, 'option "seed" must be of type integer'),
        ({"seed": math.inf}, 'option "seed" must be of type integer'),
        ({"temperature": "hot"}, 'option "temperature" must be of type float32'),
        ({"stop": "."}, 'option "stop" must be of type array'),
        ({"stop": [1]}, 'option "stop" must be of type array'),
        ({"use_mmap": 1}, 'option "use_mmap" must be of type boolean'),
    ],
)
def test_a_wrong_type_is_a_500_as_with_ollama(asked: dict[str, object], said: str) -> None:
    with pytest.raises(Refusal) as refusal:
        options.sampling(asked, window=100)
    assert (refusal.value.status, str(refusal.value)) == (500, said)


@pytest.mark.parametrize(
    ("asked", "trained", "window"),
    [({}, 8192, 4096), ({"num_ctx": 256}, 8192, 256), ({"num_ctx": 99999}, 8192, 8192), ({"num_ctx": 1}, 0, 4)],
)
def test_the_window_is_never_longer_than_the_model_was_trained_for(
    asked: dict[str, object], trained: int, window: int
) -> None:
    assert options.context(asked, 4096, trained) == window


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0),
        (1.5, 1.5),
        (-1, math.inf),
        ("5m", 300),
        ("1h30m", 5400),
        ("100ms", 0.1),
        ("-1m", math.inf),
        ("0", 0),
        ("+2s", 2),
        (".5s", 0.5),
    ],
)
def test_durations_as_go_writes_them(value: object, seconds: float) -> None:
    assert options.keep_alive(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("soon", 'time: invalid duration "soon"'),
        ("", 'time: invalid duration ""'),
        ("300", 'time: missing unit in duration "300"'),
        ("3 days", 'time: unknown unit " days" in duration "3 days"'),
        ("s5", 'time: invalid duration "s5"'),
        (True, "Unsupported type: 'bool'"),
        ([], "Unsupported type: '[]interface {}'"),
    ],
)
def test_durations_that_are_none(value: object, said: str) -> None:
    with pytest.raises(Refusal) as refusal:
        options.keep_alive(value)
    assert (refusal.value.status, str(refusal.value)) == (400, said)


@pytest.mark.parametrize("value", [True, False, "high", "medium", "low", "max"])
def test_think_levels(value: object) -> None:
    assert options.think(value) == value


@pytest.mark.parametrize("value", ["very", 1, []])
def test_what_is_no_think_level(value: object) -> None:
    with pytest.raises(Refusal, match="must be"):
        options.think(value)


def test_formats() -> None:
    assert options.schema(None) is None
    assert options.schema("") is None
    assert options.schema("json") == {"type": "object"}
    assert options.schema({"type": "array"}) == {"type": "array"}
    with pytest.raises(Refusal, match="invalid format") as refusal:
        options.schema("xml")
    assert refusal.value.status == 500
