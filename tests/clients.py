"""The official clients of the three dialects, unmodified, with nothing but an address and a key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anthropic
import ollama
import openai


@dataclass(frozen=True)
class Clients:
    ollama: ollama.AsyncClient
    openai: openai.AsyncOpenAI
    anthropic: anthropic.AsyncAnthropic


@asynccontextmanager
async def clients(url: str, key: str) -> AsyncIterator[Clients]:
    """None of them tries again by itself, so that a failure is seen when it happens."""
    async with (
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as of_openai,
        anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0) as of_anthropic,
        ollama.AsyncClient(url, headers={"Authorization": f"Bearer {key}"}) as of_ollama,
    ):
        yield Clients(of_ollama, of_openai, of_anthropic)
