"""The design this project replaced: FastAPI, HTTPBearer and httpx, streaming under Uvicorn.

Written as such gateways are written: a client a request, and the reply's bytes yielded as they come. It is a thing to
measure against and is never served to anybody.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

KEY = os.environ["OLLAMA_API_KEY"]
ENGINE = "http://" + os.environ["OLLAMA_HOST"]

app = FastAPI()
bearer = HTTPBearer()


class Chat(BaseModel):
    """The body of POST /chat_api."""

    model: str
    messages: list[dict[str, str]]
    stream: bool = True
    options: dict[str, Any] = {}


async def relay(body: dict[str, Any]) -> AsyncIterator[bytes]:
    async with (
        httpx.AsyncClient(timeout=None) as client,
        client.stream("POST", f"{ENGINE}/api/chat", json=body) as reply,
    ):
        async for data in reply.aiter_bytes():
            yield data


@app.post("/chat_api")
async def chat(body: Chat, given: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> StreamingResponse:
    if given.credentials != KEY:
        raise HTTPException(401)
    return StreamingResponse(relay(body.model_dump()), media_type="application/x-ndjson")
