"""Which models there are: every GGUF file in the models folder, under the name it is asked for by.

The folder is read anew for each question, so a file put there by hand is served at once; headers are remembered by
path, size and time of change. Nothing is ever written here.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from ollamaspace.embedded import gguf

log = logging.getLogger("ollamaspace.embedded")

SMOLLM2 = "smollm2:135m"
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_KNOWN_FILES = {SMOLLM2_FILE: SMOLLM2}

_PART = r"[a-z0-9_][a-z0-9_.-]{0,79}"
_NAME = re.compile(rf"(?:(?:[a-z0-9_][a-z0-9_.:-]{{0,349}}/)?[a-z0-9_][a-z0-9_-]{{0,79}}/)?{_PART}(?::{_PART})?", re.I)
_DEFAULT_HOME = "registry.ollama.ai/library/"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")
# What llama.cpp calls `general.file_type`, by number: the mixture of tensor types a file was quantised to.
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE",
}  # fmt: skip


@dataclass(frozen=True)
class Model:
    name: str
    path: Path
    size: int
    modified_ns: int
    digest: str
    """sha256 of the header and the size: follows the content without reading gigabytes of weights."""
    header: gguf.Header

    @property
    def architecture(self) -> str:
        return self.header.text("general.architecture")

    @property
    def template(self) -> str:
        """The chat template, in Jinja: llama.cpp's language, not Ollama's."""
        return self.header.text("tokenizer.chat_template")

    @property
    def trained_context(self) -> int:
        return self._number("context_length")

    @property
    def embedding_length(self) -> int:
        return self._number("embedding_length")

    @property
    def capabilities(self) -> list[str]:
        """As Ollama names them; read off the file, since a template that never mentions tools cannot offer them."""
        if f"{self.architecture}.pooling_type" in self.header.metadata:
            return ["embedding"]
        found = ["completion"]
        if "tools" in self.template:
            found.append("tools")
        if "<think>" in self.template or "enable_thinking" in self.template:
            found.append("thinking")
        return found

    @property
    def details(self) -> dict[str, object]:
        return {
            "parent_model": "",
            "format": "gguf",
            "family": self.architecture,
            "families": [self.architecture],
            "parameter_size": _human(self.header.parameters),
            "quantization_level": _FILE_TYPES.get(self.header.number("general.file_type"), "unknown"),
        }

    def memory(self, context: int, parallel: int) -> int:
        """Bytes: the weights and the keys and values (two of two bytes each) of every slot's whole window."""
        heads = max(1, self._number("attention.head_count"))
        kept_heads = self._number("attention.head_count_kv") or heads
        row = self.embedding_length // heads * kept_heads
        return self.size + 4 * self._number("block_count") * row * context * parallel

    def _number(self, key: str) -> int:
        return self.header.number(f"{self.architecture}.{key}")


class Catalogue:
    """Called from a thread: a folder of large files may stand on a slow disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: dict[tuple[Path, int, int], Model | None] = {}

    def models(self) -> list[Model]:
        """Newest first, as Ollama lists them. A folder that is not there yet holds none."""
        seen: dict[tuple[Path, int, int], Model | None] = {}
        for path in sorted(self.folder.glob("*.gguf")):
            try:
                stat = path.stat()
            except OSError:
                continue  # gone between the listing and the look: no longer a model
            key = (path, stat.st_size, stat.st_mtime_ns)
            seen[key] = self._seen[key] if key in self._seen else _model(*key)
        self._seen = seen
        named: dict[str, Model] = {}
        for model in seen.values():
            if model is not None:
                named.setdefault(model.name.lower(), model)
        return sorted(named.values(), key=lambda model: model.modified_ns, reverse=True)

    def find(self, name: str) -> Model | None:
        wanted = canonical(name).lower()
        return next((model for model in self.models() if model.name.lower() == wanted), None)


def valid(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def canonical(name: str) -> str:
    """The name with its tag, without the registry's own prefix."""
    short = name[len(_DEFAULT_HOME) :] if name.lower().startswith(_DEFAULT_HOME) else name
    short = short[len("library/") :] if short.lower().startswith("library/") else short
    return short if ":" in short.rpartition("/")[2] else f"{short}:latest"


def full(name: str) -> str:
    """The name with its registry, as Ollama writes it when a model cannot do something."""
    return name if name.count("/") == 2 else f"{_DEFAULT_HOME}{name.removeprefix('library/')}"


def _model(path: Path, size: int, modified_ns: int) -> Model | None:
    """None for a file that is no model by itself: damaged, a vision projector, an adapter, a later part of a split."""
    try:
        header = gguf.read(path)
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(header.length))
    except (OSError, gguf.NotGguf) as problem:
        log.warning("%s is not served: %s", path.name, problem)
        return None
    alone = header.text("general.type") in ("", "model") and header.text("general.architecture") != "clip"
    if not alone or header.number("split.no") > 0:
        return None
    digest.update(str(size).encode())
    return Model(_name(path), path, size, modified_ns, digest.hexdigest(), header)


def _name(path: Path) -> str:
    if path.name in _KNOWN_FILES:
        return _KNOWN_FILES[path.name]
    stem = _NOT_IN_NAMES.sub("-", path.stem).lstrip("-.")[:80]
    return f"{stem or 'model'}:latest"


def _human(parameters: int) -> str:
    """Ollama's rounding: two decimals below a billion, one above."""
    if parameters >= 1_000_000_000:
        return f"{parameters / 1e9:.1f}B"
    if parameters >= 1_000_000:
        return f"{parameters / 1e6:.2f}M"
    return f"{parameters / 1e3:.2f}K" if parameters >= 1_000 else str(parameters)
