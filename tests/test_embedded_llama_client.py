from __future__ import annotations

import asyncio
import json

import pytest

from ollamaspace.embedded import llama_client
from ollamaspace.embedded.llama_client import LlamaClient
from ollamaspace.embedded.replies import BROKEN_OFF, Refusal

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


async def streamed(*writes: bytes, head: bytes = HEAD) -> list[dict[str, object]]:
    """The objects read from a server that sends exactly these bytes, one write after the other."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in (head, *writes):
            writer.write(part)
            await asyncio.sleep(0.005)
        writer.close()
        done.set()

    done = asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    http = llama_client.session()
    try:
        client = LlamaClient(http, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "key")
        return [event async for event in client.stream("/completion", {})]
    finally:
        await http.close()
        await done.wait()
        server.close()
        await server.wait_closed()


async def test_an_event_may_come_in_any_pieces() -> None:
    text = json.dumps({"content": "é🙂"}, ensure_ascii=False).encode()
    event = b"data: " + text + b"\n\n"
    for cut in range(1, len(event), 5):
        assert await streamed(event[:cut], event[cut:] + event) == [{"content": "é🙂"}] * 2


async def test_an_event_may_be_larger_than_any_line_limit() -> None:
    assert await streamed(b'data: {"content":"' + b"x" * 3_000_000 + b'"}\n\n') == [{"content": "x" * 3_000_000}]


async def test_comments_and_the_last_mark_are_no_events() -> None:
    assert await streamed(b": ping\n\ndata: {}\n\ndata: [DONE]\n\n") == [{}]


async def test_an_error_event_is_raised() -> None:
    with pytest.raises(Refusal, match="no memory"):
        await streamed(b'error: {"error":{"message":"no memory"}}\n\n')


async def test_a_connection_that_breaks_is_ollamas_sentence() -> None:
    chunked = HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked")
    with pytest.raises(Refusal, match=BROKEN_OFF):
        await streamed(b"5\r\ndata:", head=chunked)


async def test_a_status_is_handed_on_with_its_words() -> None:
    with pytest.raises(Refusal, match="too hot") as refusal:
        await streamed(b'{"error":"too hot"}', head=HEAD.replace(b"200 OK", b"418 Teapot"))
    assert refusal.value.status == 418


async def test_nobody_there_is_ollamas_sentence() -> None:
    http = llama_client.session()
    try:
        with pytest.raises(Refusal, match=BROKEN_OFF):
            await LlamaClient(http, "http://127.0.0.1:1", "key").tokenize("a")
    finally:
        await http.close()
