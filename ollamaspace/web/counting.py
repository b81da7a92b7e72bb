"""From the end of a request to the figures: what of it is counted, and as what."""

from __future__ import annotations

from typing import NamedTuple

from aiohttp import web

from ollamaspace.errors import QueueFull, TooMany
from ollamaspace.gateway.forward import MODEL, OUTCOME, SENT, SPAN, TOKENS, WAITED
from ollamaspace.metrics import READER_LEFT, Answer, Metrics
from ollamaspace.web.errors import REFUSED

LEFT = 499
"""The status of a request whose reader did not wait for the end, as nginx has it."""


class Ended(NamedTuple):
    """A request at its end. `began` in seconds of the monotonic clock; `route` is a template or a dash."""

    route: str
    status: int
    began: float
    seconds: float


def count(metrics: Metrics, request: web.Request, ended: Ended) -> None:
    metrics.request_ended(request.method, ended.route, ended.status, ended.seconds)
    if (waited := request.get(WAITED)) is not None:
        metrics.waited(waited)
    if (reason := _broken_off(request, ended)) is not None:
        metrics.aborted(reason)
    if (answer := answer_of(request, ended)) is not None:
        metrics.answered(answer)
    refused = request.get(REFUSED)
    if isinstance(refused, TooMany | QueueFull):
        metrics.limited(refused.policy)


def answer_of(request: web.Request, ended: Ended) -> Answer | None:
    """None unless a model has answered to the end and said what it cost."""
    model, tokens, span = request.get(MODEL), request.get(TOKENS), request.get(SPAN)
    if model is None or tokens is None:
        return None
    if span is None:
        return Answer(model, tokens.given, tokens.made)
    first, last = span
    per_token = (last - first) / (tokens.made - 1) if tokens.made > 1 else None
    return Answer(model, tokens.given, tokens.made, first - ended.began, per_token)


def _broken_off(request: web.Request, ended: Ended) -> str | None:
    """Why a stream ended without its final record; None for one that did not, and for what is no stream."""
    outcome = request.get(OUTCOME)
    if outcome is not None:
        return outcome if outcome != "done" else None
    return READER_LEFT if ended.status == LEFT and SENT in request else None
