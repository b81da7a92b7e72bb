"""What is counted: the table, the names under which it is told, and that no caller can make labels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter, Histogram, Info

from ollamaspace.metrics import FIGURES, MOST_MODELS, OTHER, Answer, EngineFigures, Figure, Metrics
from tests.figures import Samples, parse

DOCS = Path(__file__).parents[1] / "docs"
UP = EngineFigures(True, 0, "0.34.2", ())


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1.2.3")


def samples(metrics: Metrics, engine: EngineFigures = UP) -> Samples:
    metrics.engine(engine)
    return parse(metrics.text().decode())


def of(metrics: Metrics, name: str, engine: EngineFigures = UP, **labels: str) -> float | None:
    return samples(metrics, engine).of(name, **labels)


def used_everywhere(metrics: Metrics) -> None:
    """Count everything once, so that every figure has a line."""
    metrics.request_began("/chat_api")
    metrics.request_ended("POST", "/chat_api", 200, 0.5)
    metrics.answered(Answer("qwen3:4b", 10, 20, 0.3, 0.02))
    metrics.aborted("stalled")
    metrics.waited(0.2)
    metrics.limited("requests")


def test_a_request_is_counted_by_method_route_and_status(metrics: Metrics) -> None:
    metrics.request_began("/chat_api")
    assert of(metrics, "http_requests_in_flight", route="/chat_api") == 1

    metrics.request_ended("POST", "/chat_api", 200, 0.5)

    assert of(metrics, "http_requests_total", method="POST", route="/chat_api", status="200") == 1
    assert of(metrics, "http_request_duration_seconds_sum", route="/chat_api") == 0.5
    assert of(metrics, "http_requests_in_flight", route="/chat_api") == 0


def test_a_method_that_somebody_made_up_is_no_label(metrics: Metrics) -> None:
    for method in ("BREW", "PROPFIND", "get"):
        metrics.request_began("/")
        metrics.request_ended(method, "/", 405, 0.0)

    assert of(metrics, "http_requests_total", method=OTHER, route="/", status="405") == 3


def test_an_answer_is_counted_with_its_tokens_and_times(metrics: Metrics) -> None:
    metrics.answered(Answer("qwen3:4b", 10, 20, 0.3, 0.02))

    assert of(metrics, "tokens_total", model="qwen3:4b", type="input") == 10
    assert of(metrics, "tokens_total", model="qwen3:4b", type="output") == 20
    assert of(metrics, "time_to_first_token_seconds_sum", model="qwen3:4b") == 0.3
    assert of(metrics, "time_per_output_token_seconds_sum", model="qwen3:4b") == 0.02


def test_an_answer_that_was_not_streamed_has_no_first_token(metrics: Metrics) -> None:
    metrics.answered(Answer("qwen3:4b", 10, 20))

    assert of(metrics, "tokens_total", model="qwen3:4b", type="output") == 20
    assert of(metrics, "time_to_first_token_seconds_count", model="qwen3:4b") is None


def test_names_of_models_are_bounded(metrics: Metrics) -> None:
    for number in range(MOST_MODELS + 7):
        metrics.answered(Answer(f"m{number}:latest", 0, 1))
    metrics.answered(Answer("m0:latest", 0, 1))

    told = {labels["model"] for labels in samples(metrics).labels("tokens_total")}
    assert len(told) == MOST_MODELS + 1
    assert of(metrics, "tokens_total", model=OTHER, type="output") == 7
    assert of(metrics, "tokens_total", model="m0:latest", type="output") == 2


def test_the_engine_stands_as_it_is_at_the_moment_of_asking(metrics: Metrics) -> None:
    first = EngineFigures(True, 1, "0.34.2", ["a:latest", "b:latest"])
    assert of(metrics, "ollama_up", first) == 1
    assert of(metrics, "ollama_restarts_total", first) == 1
    assert of(metrics, "model_loaded", first, model="b:latest") == 1
    assert of(metrics, "build_info", first, version="1.2.3", ollama_version="0.34.2") == 1

    later = EngineFigures(False, 3, None, ["a:latest"])
    assert of(metrics, "ollama_up", later) == 0
    assert of(metrics, "ollama_restarts_total", later) == 3
    assert of(metrics, "model_loaded", later, model="a:latest") == 1
    assert of(metrics, "model_loaded", later, model="b:latest") is None


def test_waits_limits_and_broken_streams_are_counted(metrics: Metrics) -> None:
    metrics.waited(3.0)
    metrics.limited("tokens")
    metrics.aborted("reader_left")

    assert of(metrics, "queue_wait_seconds_count") == 1
    assert of(metrics, "rate_limited_total", policy="tokens") == 1
    assert of(metrics, "streams_aborted_total", reason="reader_left") == 1


def test_two_registries_share_nothing() -> None:
    one, other = Metrics("1"), Metrics("1")
    one.limited("requests")

    assert of(other, "rate_limited_total", policy="requests") is None


def test_memory_of_the_process_is_told(metrics: Metrics) -> None:
    assert samples(metrics)["process_resident_memory_bytes", frozenset()] > 1_000_000


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_every_row_of_the_table_is_used_and_says_its_unit(figure: Figure, metrics: Metrics) -> None:
    used_everywhere(metrics)
    told = {name for name, _ in samples(metrics, UP._replace(loaded=["qwen3:4b"]))}

    assert told & set(exposed(figure))
    assert figure.meaning.endswith(".")
    if figure.kind is Histogram:
        assert figure.name.endswith("_seconds")
        assert list(figure.buckets) == sorted(set(figure.buckets))
        assert figure.buckets


def exposed(figure: Figure) -> Iterator[str]:
    """The names of its lines."""
    name = f"ollamaspace_{figure.name}"
    if figure.kind is Histogram:
        yield from (f"{name}_bucket", f"{name}_count", f"{name}_sum")
    elif figure.kind is Counter:
        yield f"{name}_total"
    else:
        yield name
        yield f"{name}_info"


def queries() -> list[str]:
    """Every expression on the dashboard, wherever it stands."""
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.extend(str(each) for key, each in value.items() if key in ("expr", "query", "definition"))
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                walk(each)

    walk(json.loads((DOCS / "grafana-dashboard.json").read_text("utf-8")))
    return found


def test_the_dashboard_shows_only_what_is_counted_and_all_of_it(metrics: Metrics) -> None:
    used_everywhere(metrics)
    told: dict[str, set[str]] = {}
    for name, labels in samples(metrics, UP._replace(loaded=["qwen3:4b"])):
        told.setdefault(name, {"instance"}).update(label for label, _ in labels)

    asked = set(re.findall(r"\b(?:ollamaspace|process)_\w+", " ".join(queries())))
    assert asked <= told.keys()
    assert all(asked & set(exposed(figure)) for figure in FIGURES)

    for query in queries():
        grouped = {label.strip() for labels in re.findall(r"\bby \(([^)]*)\)", query) for label in labels.split(",")}
        for name in re.findall(r"\bollamaspace_\w+", query):
            assert grouped <= told[name], query


def told_name(figure: Figure) -> str:
    """As a person would look for it."""
    endings = {Counter: "_total", Info: "_info"}
    return f"ollamaspace_{figure.name}{endings.get(figure.kind, '')}"


def test_the_documents_explain_every_figure_and_no_other(metrics: Metrics) -> None:
    rows = re.findall(r"^\| `(ollamaspace_\w+)` \| ([\w, ]*) ?\|", (DOCS / "api.md").read_text("utf-8"), re.MULTILINE)
    assert {name: labels.strip() for name, labels in rows} == {
        told_name(figure): "version, ollama_version" if figure.kind is Info else ", ".join(figure.labels)
        for figure in FIGURES
    }

    used_everywhere(metrics)
    watching = (DOCS / "deploy.md").read_text("utf-8").partition("## Watching it")[2]
    asked = set(re.findall(r"\bollamaspace_[a-z_]+", watching))
    assert asked
    assert asked <= {name for name, _ in samples(metrics)}
