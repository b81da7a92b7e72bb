"""The benchmark's tables: medians, ratios of medians, and the worst round where a mean would hide a loss."""

from __future__ import annotations

from bench.load import Outcome
from bench.report import rest_table, rows, whole
from bench.round import Result

SHAPE = "100 x 50/s"


def result(relay: str, cpu_us: float, complete: int = 100, age: float = 0.2) -> Result:
    outcome = Outcome(complete, tokens=5_000, first_p50=1, first_p99=2, age_p50=age, age_p99=2 * age)
    memory = {"rest_pss": 30.0, "rest_rss": 40.0, "load_pss": 50.0, "load_rss": 60.0}
    return Result(relay, SHAPE, 100, cpu_us, opened_ms=300, **memory, others=cpu_us / 1_000, outcome=outcome)


RUN = [
    result("direct", 0, age=0.1),
    *(result("caddy", cost) for cost in (30, 31, 90)),
    *(result("ollamaspace", cost, complete) for cost, complete in ((10, 100), (62, 99), (63, 100))),
    result("v1", 77.5),
]


def line_of(label: str, table: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if label in line]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ratios_are_those_of_the_medians() -> None:
    table = whole(RUN).partition("### Start")[0]
    assert line_of("**OllamaSpace**", table)[1:6] == ["62", "10-63", "2.00", "-", "1.00"]
    assert line_of("| Caddy |", table)[1:6] == ["31", "30-90", "1.00", "-", "0.50"]
    assert line_of("/v1/chat/completions", table)[5] == "1.25"


def test_one_lost_stream_in_one_round_is_seen() -> None:
    assert rows(RUN)[SHAPE]["ollamaspace"].complete == 99
    assert "99 of 100" in whole(RUN)


def test_the_worst_disturbance_of_all_rounds_is_shown() -> None:
    assert line_of("| Caddy |", whole(RUN).partition("### Start")[0])[-1] == "9%"


def test_added_age_is_what_no_relay_would_not_have() -> None:
    assert line_of("**OllamaSpace**", whole(RUN).partition("### Start")[0])[8] == "0.10 / 0.20"


def test_start_and_rest_are_of_relays_only() -> None:
    table = rest_table(rows(RUN))
    assert line_of("**OllamaSpace**", table)[1:] == ["300", "30 / 40"]
    assert "no relay" not in table
