"""The static files: read once into a table of known names, so that no path from outside ever reaches the disk.

Files revalidate by ETag; nothing is hashed or bundled, and what is in the folder is what is served.
"""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from ollamaspace.errors import NotFound

_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain",
}
_TEXT = ("text/", "application/json", "application/manifest+json", "image/svg+xml")


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    content_type: str
    etag: str


def folder(name: str) -> Path:
    """`templates` or `static`: inside the package when installed from a wheel, beside it in a clone."""
    package = Path(__file__).parent.parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def load(root: Path) -> dict[str, Asset]:
    """Every file below `root` by its relative name; links are not followed out of it."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if path.is_file() and not path.is_symlink() and not any(part.startswith(".") for part in name.parts):
            body = path.read_bytes()
            found[name.as_posix()] = Asset(body, _type(path), hashlib.sha256(body).hexdigest()[:20])
    return found


def _type(path: Path) -> str:
    return _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


class Assets:
    def __init__(self, root: Path) -> None:
        self._table = load(root)

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/static/{path:.+}", self.asset)

    async def asset(self, request: web.Request) -> web.Response:
        asset = self._table.get(request.match_info["path"])
        if asset is None:
            raise NotFound("There is no such file.")
        response = web.Response(headers={"Cache-Control": "no-cache"})
        response.etag = asset.etag
        known = request.if_none_match
        if known is not None and any(tag.value in (asset.etag, "*") for tag in known):
            response.set_status(304)
            return response
        response.body = asset.body
        response.content_type = asset.content_type
        if asset.content_type.startswith(_TEXT):
            response.charset = "utf-8"
        return response
