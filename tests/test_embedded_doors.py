from __future__ import annotations

import pytest

from ollamaspace.embedded.doors import allowed_host, allowed_origin


@pytest.mark.parametrize(
    "host",
    [
        *("", "localhost", "localhost:11434", "LOCALHOST:1", "a.localhost", "printer.local"),
        *("127.0.0.1:1", "[::1]:11434", "192.168.1.5", "10.0.0.1:80", "0.0.0.0:11434"),
    ],
)
def test_this_machine_by_any_of_its_names(host: str) -> None:
    assert allowed_host(host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:11434", "8.8.8.8", "localhost.evil.example", "127.0.0.1.nip.example", "a:b", "["],
)
def test_anybody_elses_name(host: str) -> None:
    assert not allowed_host(host)


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "https://127.0.0.1", "app://x", "tauri://localhost", "http://10.0.0.7:11434"]
)
def test_pages_of_this_machine(origin: str) -> None:
    assert allowed_origin(origin, "10.0.0.7:11434")


@pytest.mark.parametrize("origin", ["null", "https://evil.example", "http://localhost.evil.example", "ftp://localhost"])
def test_pages_of_others(origin: str) -> None:
    assert not allowed_origin(origin, "127.0.0.1:11434")
