"""What is counted, in one table, and the registry that keeps the sums.

Whoever counts says what happened; nothing here is asked once a token. No label takes its value from a caller: a route
is its template, a method one of a few, and a model one that the engine has answered with, up to a bound. `ollama` in a
name means the engine, whichever it is: these are the names that dashboards know.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "ollamaspace"
OTHER = "other"
READER_LEFT = "reader_left"
MOST_MODELS = 50

_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})

# Seconds. A cold model on a slow disk takes minutes to its first token; a small warm one, milliseconds.
_REQUESTS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84)
_FIRST_TOKENS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
_TOKENS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)
_WAITS = (0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: `name` without the prefix, and for a counter without ``_total``; `buckets` in seconds."""

    kind: type[Counter] | type[Gauge] | type[Histogram] | type[Info]
    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


FIGURES: tuple[Figure, ...] = (
    Figure(Counter, "http_requests", "Requests, by the status they were answered with; 499: the reader left.",
           ("method", "route", "status")),
    Figure(Histogram, "http_request_duration_seconds", "From a request to the end of its response.",
           ("route",), _REQUESTS),
    Figure(Gauge, "http_requests_in_flight", "Requests being answered now.", ("route",)),
    Figure(Histogram, "time_to_first_token_seconds", "From a request for a stream to its first record.",
           ("model",), _FIRST_TOKENS),
    Figure(Histogram, "time_per_output_token_seconds", "What one token of an answer took, on average over the answer.",
           ("model",), _TOKENS),
    Figure(Counter, "tokens", "Tokens that the engine counted: read as input, made as output.", ("model", "type")),
    Figure(Counter, "streams_aborted", "Streams that ended without their final record.", ("reason",)),
    Figure(Histogram, "queue_wait_seconds", "What requests waited for their turn before the engine.", (), _WAITS),
    Figure(Counter, "rate_limited", "Requests refused because of a limit.", ("policy",)),
    Figure(Gauge, "ollama_up", "1 while the engine answers."),
    Figure(Counter, "ollama_restarts", "Starts of the engine after the first."),
    Figure(Gauge, "model_loaded", "1 for a model that is in memory.", ("model",)),
    Figure(Info, "build", "Versions of this server and of its engine."),
)  # fmt: skip


class Answer(NamedTuple):
    """An answer that was given whole. `model` is the full name by which the engine knows it; times in seconds."""

    model: str
    input_tokens: int
    output_tokens: int
    first_token: float | None = None
    """None: it was not streamed."""
    per_token: float | None = None


class EngineFigures(NamedTuple):
    """How the engine stands at the moment of asking. `restarts` is the number of all so far."""

    up: bool
    restarts: int
    version: str | None
    loaded: Iterable[str]


class Metrics:
    """One registry; every app has its own."""

    def __init__(self, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the lines, and nothing here asks when a counter began
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        made = {figure.name: _made(figure, self._registry) for figure in FIGURES}
        self._counters = {name: each for name, each in made.items() if isinstance(each, Counter)}
        self._gauges = {name: each for name, each in made.items() if isinstance(each, Gauge)}
        self._histograms = {name: each for name, each in made.items() if isinstance(each, Histogram)}
        self._build = next(each for each in made.values() if isinstance(each, Info))
        self._version = version
        self._models: set[str] = set()
        self._restarts = 0

    def request_began(self, route: str) -> None:
        self._gauges["http_requests_in_flight"].labels(route).inc()

    def request_ended(self, method: str, route: str, status: int, seconds: float) -> None:
        self._gauges["http_requests_in_flight"].labels(route).dec()
        method = method if method in _METHODS else OTHER
        self._counters["http_requests"].labels(method, route, str(status)).inc()
        self._histograms["http_request_duration_seconds"].labels(route).observe(seconds)

    def answered(self, answer: Answer) -> None:
        model = self._known(answer.model)
        self._counters["tokens"].labels(model, "input").inc(answer.input_tokens)
        self._counters["tokens"].labels(model, "output").inc(answer.output_tokens)
        if answer.first_token is not None:
            self._histograms["time_to_first_token_seconds"].labels(model).observe(answer.first_token)
        if answer.per_token is not None:
            self._histograms["time_per_output_token_seconds"].labels(model).observe(answer.per_token)

    def aborted(self, reason: str) -> None:
        """`reason` is the code of an error, or READER_LEFT."""
        self._counters["streams_aborted"].labels(reason).inc()

    def waited(self, seconds: float) -> None:
        self._histograms["queue_wait_seconds"].observe(seconds)

    def limited(self, policy: str) -> None:
        """`policy` is one of our own words for a limit."""
        self._counters["rate_limited"].labels(policy).inc()

    def engine(self, engine: EngineFigures) -> None:
        """How it stands, to be told before `text` is asked for."""
        self._gauges["ollama_up"].set(engine.up)
        self._counters["ollama_restarts"].inc(max(0, engine.restarts - self._restarts))
        self._restarts = max(self._restarts, engine.restarts)
        loaded = self._gauges["model_loaded"]
        loaded.clear()
        for model in engine.loaded:
            loaded.labels(self._known(model)).set(1)
        self._build.info({"version": self._version, "ollama_version": engine.version or ""})

    def text(self) -> bytes:
        """Everything, in Prometheus's text format: tens of milliseconds, in a thread while others count."""
        return generate_latest(self._registry)

    def _known(self, model: str) -> str:
        """A bound on the names: an engine that is not Ollama may answer to whatever it is called by."""
        if model not in self._models:
            if len(self._models) >= MOST_MODELS:
                return OTHER
            self._models.add(model)
        return model


def _made(figure: Figure, registry: CollectorRegistry) -> Counter | Gauge | Histogram | Info:
    name = f"{PREFIX}_{figure.name}"
    if figure.kind is Histogram:
        return Histogram(name, figure.meaning, figure.labels, registry=registry, buckets=figure.buckets)
    return figure.kind(name, figure.meaning, figure.labels, registry=registry)
