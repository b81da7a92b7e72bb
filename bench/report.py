"""Medians over rounds, and the tables of bench/README.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from bench.relays import LABELS
from bench.round import Result


@dataclass(frozen=True)
class Row:
    """Medians of one relay under one load; `complete` and `disturbance` are the worst round's."""

    rounds: list[Result]

    def median(self, field: str) -> float:
        return median(float(getattr(result, field)) for result in self.rounds)

    def outcome(self, field: str) -> float:
        return median(float(getattr(result.outcome, field)) for result in self.rounds)

    @property
    def complete(self) -> int:
        return min(result.outcome.complete for result in self.rounds)

    @property
    def disturbance(self) -> float:
        """In the worst round."""
        return max(result.others for result in self.rounds)

    @property
    def spread(self) -> str:
        values = sorted(result.cpu_us for result in self.rounds)
        return f"{values[0]:.0f}-{values[-1]:.0f}"


def rows(results: Iterable[Result]) -> dict[str, dict[str, Row]]:
    """By load, then by relay, in the order in which they were measured first."""
    found: dict[str, dict[str, list[Result]]] = {}
    for result in results:
        found.setdefault(result.shape, {}).setdefault(result.relay, []).append(result)
    return {shape: {relay: Row(rounds) for relay, rounds in by.items()} for shape, by in found.items()}


def ratio(row: Row, by: dict[str, Row], other: str) -> str:
    """Of the medians; the peer itself is 1.00, and a peer that was not measured gives no figure."""
    return f"{row.median('cpu_us') / by[other].median('cpu_us'):.2f}" if other in by else "-"


def load_table(by: dict[str, Row]) -> str:
    lines = [
        "| relay | µs a token | rounds | x Caddy | x original | x OllamaSpace | first token p50 / p99 ms "
        "| token age p50 / p99 ms | added p50 / p99 ms | PSS / RSS MiB | complete | others |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_load_line(name, row, by) for name, row in by.items()]
    return "\n".join(lines)


def _load_line(name: str, row: Row, by: dict[str, Row]) -> str:
    first = f"{row.outcome('first_p50'):.1f} / {row.outcome('first_p99'):.1f}"
    age = f"{row.outcome('age_p50'):.2f} / {row.outcome('age_p99'):.2f}"
    complete = f"{row.complete} of {row.rounds[0].wanted} | {row.disturbance:.0%}"
    if name == "direct":
        return f"| {LABELS[name]} | - | - | - | - | - | {first} | {age} | - | - | {complete} |"
    added = "-"
    if "direct" in by:
        parts = [row.outcome(field) - by["direct"].outcome(field) for field in ("age_p50", "age_p99")]
        added = f"{parts[0]:.2f} / {parts[1]:.2f}"
    ratios = " | ".join(ratio(row, by, peer) for peer in ("caddy", "original", "ollamaspace"))
    cost = f"{row.median('cpu_us'):.0f} | {row.spread} | {ratios}"
    memory = f"{row.median('load_pss'):.0f} / {row.median('load_rss'):.0f}"
    return f"| {LABELS[name]} | {cost} | {first} | {age} | {added} | {memory} | {complete} |"


def rest_table(by_shape: dict[str, dict[str, Row]]) -> str:
    """Start and rest do not depend on the load: medians over all rounds."""
    lines = ["| relay | start to open port ms | at rest PSS / RSS MiB |", "|---|---|---|"]
    together: dict[str, list[Result]] = {}
    for by in by_shape.values():
        for name, row in by.items():
            together.setdefault(name, []).extend(row.rounds)
    for name, rounds in together.items():
        if name != "direct":
            row = Row(rounds)
            memory = f"{row.median('rest_pss'):.0f} / {row.median('rest_rss'):.0f}"
            lines.append(f"| {LABELS[name]} | {row.median('opened_ms'):.0f} | {memory} |")
    return "\n".join(lines)


def whole(results: list[Result]) -> str:
    by_shape = rows(results)
    parts = [f"### {shape}\n\n{load_table(by)}" for shape, by in by_shape.items()]
    return "\n\n".join([*parts, f"### Start and rest\n\n{rest_table(by_shape)}"])
