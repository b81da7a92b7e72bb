"""From the text of a setting to its value, or to what would have been right."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ollamaspace.config import values
from ollamaspace.config.values import EngineAddress

MIB = 1024 * 1024

RIGHT: list[tuple[Callable[[str], Any], str, Any]] = [
    (values.whole(1, 65535), "65535", 65535),
    (values.seconds(0, 300), "0.5", 0.5),
    (values.seconds(0, 300), "300", 300.0),
    (values.size(1, 1024 * MIB), "2MiB", 2 * MIB),
    (values.size(1, 1024 * MIB), "16 mb", 16_000_000),
    (values.size(1, 1024 * MIB), "4096", 4096),
    (values.flag, "Yes", True),
    (values.flag, "off", False),
    (values.one_of("text", "json"), "JSON", "json"),
    (values.words, " a, ,b ", ("a", "b")),
    (values.model, "hf.co/unsloth/Qwen3-4B-GGUF:Q4_K_M", "hf.co/unsloth/Qwen3-4B-GGUF:Q4_K_M"),
    (values.key, "correct-horse-battery-staple", "correct-horse-battery-staple"),
    (values.origins, "https://a.example, http://b.example:8080", ("https://a.example", "http://b.example:8080")),
    (values.origins, "*", ("*",)),
    (values.networks, "10.0.0.0/8, ::1", (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1"))),
    (values.path, "/data/x", Path("/data/x")),
    (values.listen_host, "localhost", "127.0.0.1"),
    (values.listen_host, "[::]", "::"),
    (values.engine_url, "http://10.0.0.5:11434/", "http://10.0.0.5:11434"),
    (values.engine_url, "https://engine.example/under/path", "https://engine.example/under/path"),
]

WRONG: list[tuple[Callable[[str], Any], str, str]] = [
    (values.whole(1, 65535), "0", "from 1 to 65535"),
    (values.whole(1, 65535), "65536", "from 1 to 65535"),
    (values.whole(1, 65535), "1e3", "whole number"),
    (values.whole(1, 65535), "٣", "whole number"),
    (values.seconds(0.1, 300), "0", "seconds from 0.1 to 300"),
    (values.seconds(0.1, 300), "nan", "seconds"),
    (values.seconds(0.1, 300), "-1", "seconds"),
    (values.size(1024, MIB), "2 MiB", "size such as 2MiB"),
    (values.size(1024, MIB), "much", "size such as 2MiB"),
    (values.flag, "maybe", "1 or 0"),
    (values.one_of("text", "json"), "xml", "one of text, json"),
    (values.model, "", "such as qwen3:4b"),
    (values.model, "a b", "such as qwen3:4b"),
    (values.model, "../etc", "such as qwen3:4b"),
    (values.key, "short", "at least 16"),
    (values.origins, "chat.example", "origin"),
    (values.origins, "https://a.example/path", "origin"),
    (values.networks, "10.0.0.0/99", "networks"),
    (values.path, "", "a path"),
    (values.path, "a\0b", "a path"),
    (values.listen_host, "example.com", "IP address"),
    (values.engine_url, "10.0.0.5:11434", "an address such as"),
    (values.engine_url, "http://user:word@10.0.0.5", "an address such as"),
    (values.engine_url, "http://[::1", "an address such as"),
    (values.engine_url, "http://a:0", "an address such as"),
]


@pytest.mark.parametrize(("parse", "given", "value"), RIGHT)
def test_understands(parse: Callable[[str], Any], given: str, value: Any) -> None:
    assert parse(given) == value


@pytest.mark.parametrize(("parse", "given", "words"), WRONG)
def test_says_what_would_have_been_right(parse: Callable[[str], Any], given: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(given)


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("127.0.0.1", "127.0.0.1", 11434),
        ("127.0.0.1:5000", "127.0.0.1", 5000),
        ("http://localhost", "localhost", 80),
        ("https://127.0.0.1", "127.0.0.1", 443),
        ("http://127.0.0.1:5000/", "127.0.0.1", 5000),
        ("0.0.0.0:11434", "0.0.0.0", 11434),
        (":5000", "0.0.0.0", 5000),
        ("[::1]:5000", "::1", 5000),
        ("::1", "::1", 11434),
        ("[::]", "::", 11434),
        ('"127.0.0.1:5000"', "127.0.0.1", 5000),
    ],
)
def test_the_engines_address_is_read_as_ollama_reads_it(given: str, host: str, port: int) -> None:
    assert values.engine_address(given) == EngineAddress(host, port)


@pytest.mark.parametrize("given", ["127.0.0.1:99999", "127.0.0.1:0", ":-1", "127.0.0.1:abc", "127.0.0.1:", "[::1]:x"])
def test_a_port_where_ollama_would_listen_elsewhere_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="port from 1 to 65535"):
        values.engine_address(given)


@pytest.mark.parametrize("given", ["192.0.2.7:11434", "http://192.0.2.7", "[2001:db8::7]:11434"])
def test_another_machine_is_refused_with_the_setting_that_is_meant(given: str) -> None:
    with pytest.raises(ValueError, match="OLLAMASPACE_OLLAMA_URL"):
        values.engine_address(given)


def test_this_machines_own_name_is_this_machine() -> None:
    assert values.is_this_machine("localhost")
    assert values.is_this_machine("127.8.9.1")
    assert values.is_this_machine(socket.gethostbyname(socket.gethostname()))


@pytest.mark.parametrize(
    ("host", "exposed", "bound"),
    [
        ("0.0.0.0", False, "127.0.0.1"),
        ("::", False, "::1"),
        ("10.0.0.5", False, "127.0.0.1"),
        ("localhost", False, "127.0.0.1"),
        ("127.0.0.1", False, "127.0.0.1"),
        ("0.0.0.0", True, "0.0.0.0"),
    ],
)
def test_the_engine_is_kept_to_this_machine_unless_meant_otherwise(host: str, exposed: bool, bound: str) -> None:
    assert EngineAddress(host, 5000).bound(exposed) == EngineAddress(bound, 5000)


def test_addresses_are_written_as_urls_want_them() -> None:
    assert EngineAddress("::", 5000).url == "http://[::1]:5000"
    assert EngineAddress("0.0.0.0", 5000).url == "http://127.0.0.1:5000"
    assert str(EngineAddress("::1", 5000)) == "[::1]:5000"


def test_a_home_that_is_not_there_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="a path"):
        values.path("~nobody-of-this-name/x")
