"""Chat, generate and embed by the real model and by what its file can be made into: a thinker, an embedder, a wreck."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import aiohttp
import ollama
import pytest

from tests.embedded_engine import EngineProcess, linked, remade, running

MODEL = "smollm2:135m"
HELLO = [{"role": "user", "content": "Say hello."}]
BRIEF = {"num_predict": 8, "temperature": 0, "seed": 1}

# SmolLM2's own template with a beginning that llama.cpp knows as thoughts.
THINKING = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' and message.reasoning_content %}"
    "{{ '<think>\n' + message.reasoning_content + '\n</think>\n\n' }}{% endif %}"
    "{{ message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}"
    "{% else %}{{ '<think>\n' }}{% endif %}{% endif %}"
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    folder = tmp_path_factory.mktemp("native")
    models = linked(folder / "models")
    remade(models / "thinker.gguf", template=THINKING)
    remade(models / "embedder.gguf", more={"llama.pooling_type": 1})
    wreck = remade(models / "wreck.gguf")
    with wreck.open("rb+") as file:
        file.truncate(10_000_000)
    with running(models, folder / "log") as engine:
        yield engine


@pytest.fixture
def client(engine: EngineProcess) -> Iterator[ollama.Client]:
    with ollama.Client(engine.url) as client:
        yield client


def test_the_official_client_lists_and_shows(client: ollama.Client) -> None:
    names = {model.model for model in client.list().models}
    assert names == {MODEL, "thinker:latest", "embedder:latest", "wreck:latest"}
    shown = client.show(MODEL)
    assert shown.capabilities == ["completion"]
    assert shown.modelinfo is not None
    assert shown.modelinfo["llama.context_length"] == 8192
    assert "<|im_start|>" in (shown.template or "")


def test_the_official_client_chats_at_once_and_in_a_stream(client: ollama.Client) -> None:
    whole = client.chat(MODEL, HELLO, options=BRIEF)
    parts = list(client.chat(MODEL, HELLO, options=BRIEF, stream=True))
    assert whole.message.content
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    last = parts[-1]
    assert last.done_reason == "length"
    assert last.eval_count == 8
    assert last.total_duration is not None
    assert last.eval_duration is not None
    assert last.total_duration > last.eval_duration > 0
    assert client.ps().models[0].model == MODEL


def test_the_official_client_generates_and_goes_on_from_a_context(client: ollama.Client) -> None:
    first = client.generate(MODEL, "Say hello.", options=BRIEF)
    assert first.response
    assert first.context
    assert first.prompt_eval_count is not None
    assert len(first.context) == first.prompt_eval_count + 8
    more = client.generate(MODEL, "And again.", context=first.context, options=BRIEF)
    assert more.context
    assert more.context[: len(first.context)] == first.context


def test_the_official_client_raises_what_the_engine_says(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="model 'none' not found") as missing:
        client.chat("none", HELLO)
    assert missing.value.status_code == 404


def test_the_model_remembers_what_was_said_before(client: ollama.Client) -> None:
    turns = [*HELLO, {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "Again."}]
    short, long = (client.chat(MODEL, messages, options=BRIEF) for messages in (HELLO, turns))
    assert short.prompt_eval_count
    assert long.prompt_eval_count
    assert long.prompt_eval_count > short.prompt_eval_count + 8


def test_the_same_seed_gives_the_same_words_and_another_gives_others(client: ollama.Client) -> None:
    def words(seed: int) -> str | None:
        asked = {"seed": seed, "temperature": 1.5, "num_predict": 16}
        return client.chat(MODEL, HELLO, options=asked).message.content

    assert words(7) == words(7) != words(8)


def test_a_schema_is_kept_to(client: ollama.Client) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    said = client.chat(MODEL, HELLO, format=schema, options={"num_predict": 60, "temperature": 0})
    assert isinstance(json.loads(said.message.content or "")["age"], int)


def test_a_thinking_model_thinks_unless_told_not_to(client: ollama.Client) -> None:
    thought = client.chat("thinker", HELLO, options=BRIEF)
    assert thought.message.thinking
    assert not thought.message.content
    said = client.chat("thinker", HELLO, think=False, options=BRIEF)
    assert said.message.content
    assert not said.message.thinking
    generated = client.generate("thinker", "Say hello.", options=BRIEF)
    assert generated.thinking


def test_an_embedding_model_embeds_and_does_not_chat(client: ollama.Client) -> None:
    answer = client.embed("embedder", ["red", "blue and green"])
    assert [len(vector) for vector in answer.embeddings] == [576, 576]
    assert sum(value * value for value in answer.embeddings[0]) == pytest.approx(1, abs=1e-3)
    assert answer.prompt_eval_count
    with pytest.raises(ollama.ResponseError, match='"embedder" does not support chat'):
        client.chat("embedder", HELLO)


def test_a_file_that_cannot_be_loaded_is_an_error_and_the_next_model_is_served(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="llama-server process has terminated") as refusal:
        client.chat("wreck", HELLO)
    assert refusal.value.status_code == 500
    assert client.chat(MODEL, HELLO, options=BRIEF).done


async def test_two_models_asked_for_at_once_are_served_one_after_the_other(engine: EngineProcess) -> None:
    async with ollama.AsyncClient(engine.url) as client:
        asked = [client.chat(name, HELLO, options=BRIEF) for name in (MODEL, "thinker", MODEL, "thinker")]
        assert all(answer.done for answer in await asyncio.gather(*asked))


async def test_what_only_ollama_does_is_refused_in_its_own_form(engine: EngineProcess) -> None:
    suffixed = {"model": MODEL, "prompt": "a", "suffix": "b"}
    templated = {"model": MODEL, "prompt": "a", "template": "{{ .Prompt }}"}
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{engine.url}/api/generate", json=suffixed) as reply:
            assert reply.status == 400
            assert await reply.json() == {"error": f"registry.ollama.ai/library/{MODEL} does not support insert"}
        async with http.post(f"{engine.url}/api/generate", json=templated) as reply:
            assert reply.status == 501
