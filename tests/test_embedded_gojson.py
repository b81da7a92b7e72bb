from __future__ import annotations

import json

import pytest

from ollamaspace.embedded import gojson
from ollamaspace.embedded.gojson import ANY, BOOL, FLOAT, INT, INTS, MAP, STRING, Kind
from ollamaspace.embedded.replies import Refusal

MESSAGES = Kind("[]api.Message", (list,), inside={"content": STRING, "images": Kind("[]x", (list,), gojson.images)})
FIELDS = {
    "model": STRING,
    "stream": BOOL,
    "number": INT,
    "share": FLOAT,
    "options": MAP,
    "format": ANY,
    "context": INTS,
    "messages": MESSAGES,
}


def decode(body: str) -> dict[str, object]:
    return gojson.decode(body.encode(), "Request", FIELDS)


def test_names_match_whatever_their_case_and_the_last_wins() -> None:
    assert decode('{"Model":"a","MODEL":"b","nonsense":1,"stream":null}') == {"model": "b"}


def test_what_follows_the_first_value_is_ignored() -> None:
    assert decode(' \n{"model":"a"} trailing {{{') == {"model": "a"}


def test_null_is_an_empty_request() -> None:
    assert decode("null") == {}


def test_the_inside_of_options_is_left_alone() -> None:
    assert decode('{"Options":{"Seed":1}}') == {"options": {"Seed": 1}}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "missing request body"),
        (" \n", "missing request body"),
        ("{", "unexpected EOF"),
        ('{"model":"x', "unexpected EOF"),
        ('{"model":', "unexpected EOF"),
        ("{hello", "invalid character 'h' looking for beginning of object key string"),
        ("hello", "invalid character 'h' looking for beginning of value"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        ('{"a":NaN}', "invalid character 'N' looking for beginning of value"),
        ('{"a":"\\q"}', "invalid character '\\\\' in string escape code"),
        ("[]", "json: cannot unmarshal array into Go value of type api.Request"),
        ('{"model":5}', "json: cannot unmarshal number into Go struct field Request.model of type string"),
        ('{"stream":"no"}', "json: cannot unmarshal string into Go struct field Request.stream of type bool"),
        ('{"number":true}', "json: cannot unmarshal bool into Go struct field Request.number of type int"),
        ('{"share":true}', "json: cannot unmarshal bool into Go struct field Request.share of type float64"),
        (
            '{"messages":{}}',
            "json: cannot unmarshal object into Go struct field Request.messages of type []api.Message",
        ),
        (
            '{"messages":["x"]}',
            "json: cannot unmarshal string into Go struct field Request.messages of type api.Message",
        ),
        (
            '{"messages":[{"content":[]}]}',
            "json: cannot unmarshal array into Go struct field Request.messages.content of type string",
        ),
        ('{"messages":[{"images":["@@@"]}]}', "illegal base64 data at input byte 0"),
        ('{"messages":[{"images":["AAA"]}]}', "illegal base64 data at input byte 3"),
        ('{"context":["x"]}', "json: cannot unmarshal string into Go value of type int"),
        ("[" * 100_000, "exceeded max depth"),
    ],
)
def test_mistakes_are_told_in_gos_words(body: str, said: str) -> None:
    with pytest.raises(Refusal) as refusal:
        decode(body)
    assert str(refusal.value) == said
    assert refusal.value.status == 400


def test_images_are_decoded() -> None:
    body = json.dumps({"messages": [{"images": ["aGVsbG8="]}]})
    assert decode(body) == {"messages": [{"images": [b"hello"]}]}
