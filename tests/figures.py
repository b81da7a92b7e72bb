"""Reading Prometheus's text format: every line by its name and labels."""

from __future__ import annotations

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.space import Space


class Samples(dict[tuple[str, frozenset[tuple[str, str]]], float]):
    def of(self, name: str, **labels: str) -> float | None:
        """Without the prefix; None for a line that is not there."""
        return self.get((f"ollamaspace_{name}", frozenset(labels.items())))

    def labels(self, name: str) -> list[dict[str, str]]:
        return [dict(labels) for each, labels in self if each == f"ollamaspace_{name}"]


def parse(text: str) -> Samples:
    found = Samples()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


async def figures(space: Space, session: aiohttp.ClientSession) -> Samples:
    """GET /metrics with the owner's key."""
    async with session.get(f"{space.url}/metrics", headers=space.headers) as response:
        assert response.status == 200
        return parse(await response.text())
