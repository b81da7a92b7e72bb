"""Static files: a table of known names, whatever the address says."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from ollamaspace.web.assets import Assets, folder, load
from ollamaspace.web.errors import errors_as_answers
from tests.raw_http import Answer, request_bytes, send

Client = TestClient[web.Request, web.Application]

STATIC = folder("static")


@contextlib.asynccontextmanager
async def served(root: Path) -> AsyncIterator[Client]:
    app = web.Application(middlewares=[errors_as_answers])
    Assets(root).add_routes(app)
    async with TestClient(TestServer(app)) as client:
        yield client


async def raw(client: Client, path: str) -> Answer:
    return await send(str(client.make_url("")), request_bytes("GET", path, [("Host", "127.0.0.1")]), 5)


async def test_every_file_is_served_with_its_type_and_to_be_asked_about_again() -> None:
    async with served(STATIC) as client:
        for name, asset in load(STATIC).items():
            async with client.get(f"/static/{name}") as response:
                assert response.status == 200, name
                assert await response.read() == (STATIC / name).read_bytes()
                assert response.headers["Cache-Control"] == "no-cache"
                assert response.headers["ETag"] == f'"{asset.etag}"'


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("js/main.js", "text/javascript; charset=utf-8"),
        ("css/base.css", "text/css; charset=utf-8"),
        ("favicon.svg", "image/svg+xml; charset=utf-8"),
        ("vendor/VENDOR.json", "application/json; charset=utf-8"),
    ],
)
async def test_types_are_those_a_browser_insists_on(name: str, media: str) -> None:
    async with served(STATIC) as client, client.get(f"/static/{name}") as response:
        assert response.headers["Content-Type"] == media


async def test_what_a_browser_has_is_not_sent_again() -> None:
    async with served(STATIC) as client:
        async with client.get("/static/js/main.js") as response:
            etag = response.headers["ETag"]
        for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            async with client.get("/static/js/main.js", headers={"If-None-Match": known}) as response:
                assert (response.status, await response.read()) == (304, b"")
                assert response.headers["ETag"] == etag
        for other in ('"other"', "nonsense", '"unfinished'):
            async with client.get("/static/js/main.js", headers={"If-None-Match": other}) as response:
                assert response.status == 200


async def test_head_tells_the_length_alone() -> None:
    async with served(STATIC) as client, client.head("/static/js/main.js") as response:
        assert (response.status, await response.read()) == (200, b"")
        assert int(response.headers["Content-Length"]) == (STATIC / "js/main.js").stat().st_size


@pytest.mark.parametrize(
    "path",
    [
        "/static/../templates/chat.html",
        "/static/%2e%2e/templates/chat.html",
        "/static/..%2ftemplates%2fchat.html",
        "/static/..%5ctemplates%5cchat.html",
        "/static/%252e%252e/templates/chat.html",
        "/static/%c0%ae%c0%ae/templates/chat.html",
        "/static//etc/passwd",
        "/static/js//main.js",
        "/static/js/./main.js",
        "/static/js/main.js/",
        "/static/js/main.js.",
        "/static/js/main.js%00.css",
        "/static/js",
        "/static/js/",
        "/static/" + "a" * 300,
        "/static/" + "a" * 300 + ".js",
        "/static/" + "a/" * 3000,
        "/static/JS/main.js",
    ],
)
async def test_no_spelling_leads_anywhere_else(path: str) -> None:
    async with served(STATIC) as client:
        found = await raw(client, path)
        assert found.status == 404
        assert b"doctype" not in found.body.lower()


def test_only_plain_files_get_into_the_table(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret", encoding="ascii")
    root = tmp_path / "static"
    (root / "deep").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "deep" / "a.css").write_text("a", encoding="ascii")
    (root / ".hidden").write_text("h", encoding="ascii")
    (root / ".git" / "config").write_text("h", encoding="ascii")
    (root / "link.txt").symlink_to(secret)
    (root / "linked").symlink_to(tmp_path)
    assert list(load(root)) == ["deep/a.css"]


def test_the_tag_follows_the_content(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a", encoding="ascii")
    before = load(tmp_path)["a.css"].etag
    (tmp_path / "a.css").write_text("b", encoding="ascii")
    assert load(tmp_path)["a.css"].etag != before
