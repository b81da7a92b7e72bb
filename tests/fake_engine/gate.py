"""What Ollama checks before any route: Origin, Host, and the spelling of the path. All pure functions."""

from __future__ import annotations

import ipaddress
import re

from tests.fake_engine.wire import Headers, Request

LOCAL_ORIGIN = re.compile(
    r"https?://(localhost|127\.0\.0\.1|0\.0\.0\.0)(:\d+)?|(app|file|tauri|vscode-webview|vscode-file)://.*"
)
LOCAL_SUFFIXES = (".localhost", ".local", ".internal")

ALLOWED_HEADERS = (
    "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,Openai-Beta,X-Stainless-Arch,X-Stainless-Async,"
    "X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,X-Stainless-Os,"
    "X-Stainless-Package-Version,X-Stainless-Poll-Helper,X-Stainless-Retry-Count,X-Stainless-Runtime,"
    "X-Stainless-Runtime-Version,X-Stainless-Timeout"
)


def origin_allowed(request: Request) -> bool:
    origin = request.header("Origin")
    return not origin or bool(LOCAL_ORIGIN.fullmatch(origin)) or origin.partition("://")[2] == request.header("Host")


def host_allowed(request: Request) -> bool:
    host = request.header("Host").lower()
    name = host.rpartition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]
    if name in {"", "localhost"} or name.endswith(LOCAL_SUFFIXES):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_private or address.is_unspecified


def cors_headers(request: Request) -> Headers:
    origin = request.header("Origin")
    return [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")] if origin else []


def preflight_headers(request: Request, allow: str) -> Headers:
    return [
        ("Access-Control-Allow-Headers", ALLOWED_HEADERS),
        ("Access-Control-Allow-Methods", "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"),
        ("Access-Control-Allow-Origin", request.header("Origin")),
        ("Access-Control-Max-Age", "43200"),
        ("Allow", allow),
        ("Vary", "Origin"),
        ("Vary", "Access-Control-Request-Method"),
        ("Vary", "Access-Control-Request-Headers"),
    ]


def redirection(request: Request, known: bool) -> tuple[int, str, bytes] | None:
    """Status, Location and body where the path is only misspelled; `known`: it exists without its trailing slash."""
    if "//" in request.path:
        to = re.sub("/+", "/", request.path)
        return 307, to, _page(to, "Temporary Redirect")
    if known and request.path != "/" and request.path.endswith("/"):
        to = request.path.rstrip("/")
        return (301, to, _page(to, "Moved Permanently")) if request.method == "GET" else (307, to, b"")
    return None


def _page(to: str, phrase: str) -> bytes:
    return f'<a href="{to}">{phrase}</a>.\n\n'.encode()
