"""Everything that the clients of Ollama, OpenAI and Anthropic may reach, row by row. What is not here does not exist.

Left out on purpose: push, blobs, sign-in and sign-out, user keys and everything experimental.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ollamaspace.access.keys import Scope
from ollamaspace.gateway import views
from ollamaspace.gateway.bodies import anthropic, ollama, openai
from ollamaspace.gateway.bodies.rebuild import Body
from ollamaspace.gateway.views import Object, Viewer

PATH_KEYS = "/k/{path_key}"
"""The prefix under which Ollama's dialect is served to a command that cannot send headers."""


class Dialect(StrEnum):
    OLLAMA = "ollama"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"


@dataclass(frozen=True, slots=True)
class Surface:
    """One route. The engine is asked for the same path, unless the row says otherwise."""

    method: str
    path: str
    needs: Scope
    dialect: Dialect
    body: Body | None = None
    """None: the request has none."""
    view: Callable[[Object, Viewer], Object] | None = None
    """What is shown of a reply that is one object; None: it passes as it is."""
    slot: bool = False
    """The model works, so a slot is needed."""
    changes: bool = False
    """Models come or go."""
    engine_path: str | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)


_OLLAMA, _OPENAI, _ANTHROPIC = Dialect.OLLAMA, Dialect.OPENAI, Dialect.ANTHROPIC
_CHAT, _MODELS = Scope.CHAT, Scope.MODELS

SURFACES: tuple[Surface, ...] = (
    Surface("GET", "/api/version", _CHAT, _OLLAMA, view=views.version),
    Surface("GET", "/api/tags", _CHAT, _OLLAMA, view=views.models),
    Surface("GET", "/api/ps", _CHAT, _OLLAMA, view=views.models),
    Surface("POST", "/api/show", _CHAT, _OLLAMA, ollama.SHOW, view=views.description),
    Surface("POST", "/api/chat", _CHAT, _OLLAMA, ollama.CHAT, slot=True),
    Surface("POST", "/api/generate", _CHAT, _OLLAMA, ollama.GENERATE, slot=True),
    Surface("POST", "/api/embed", _CHAT, _OLLAMA, ollama.EMBED, slot=True),
    Surface("POST", "/api/embeddings", _CHAT, _OLLAMA, ollama.EMBEDDINGS, slot=True),
    Surface("POST", "/api/pull", _MODELS, _OLLAMA, ollama.PULL, changes=True),
    Surface("POST", "/api/create", _MODELS, _OLLAMA, ollama.CREATE, changes=True),
    Surface("POST", "/api/copy", _MODELS, _OLLAMA, ollama.COPY, changes=True),
    Surface("DELETE", "/api/delete", _MODELS, _OLLAMA, ollama.DELETE, changes=True),
    Surface("GET", "/v1/models", _CHAT, _OPENAI, view=views.openai_models),
    Surface("GET", "/v1/models/{model}", _CHAT, _OPENAI, view=views.openai_model, engine_path="/v1/models"),
    Surface("POST", "/v1/chat/completions", _CHAT, _OPENAI, openai.CHAT, slot=True),
    Surface("POST", "/v1/completions", _CHAT, _OPENAI, openai.COMPLETION, slot=True),
    Surface("POST", "/v1/embeddings", _CHAT, _OPENAI, openai.EMBEDDINGS, slot=True),
    Surface("POST", "/v1/responses", _CHAT, _OPENAI, openai.RESPONSE, slot=True),
    Surface("POST", "/v1/messages", _CHAT, _ANTHROPIC, anthropic.MESSAGES, slot=True),
)

_PREFIXES = (
    ("/v1/messages", Dialect.ANTHROPIC),
    ("/v1", Dialect.OPENAI),
    ("/api", Dialect.OLLAMA),
    ("/k", Dialect.OLLAMA),
)


def dialect_of(path: str) -> Dialect | None:
    """In which words to answer at `path`, even if there is nothing; None where our own are spoken."""
    return next((dialect for prefix, dialect in _PREFIXES if path == prefix or path.startswith(f"{prefix}/")), None)
