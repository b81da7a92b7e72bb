"""Logs: text for people, JSON for machines, on stderr.

No prompt, answer, key or query string is ever logged. Writing happens in a thread behind a bounded queue, because a
full pipe at the other end of stderr must not stop the event loop; lines beyond the bound are counted and dropped.
"""

from __future__ import annotations

import contextvars
import json
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable
from logging.handlers import QueueHandler, QueueListener
from typing import TextIO

REQUEST_ID: contextvars.ContextVar[str | None] = contextvars.ContextVar("request_id", default=None)

_QUEUE_SIZE = 4096
_FLUSH_AT_EXIT = 0.5  # seconds a blocked stderr may delay the end of the process

# C0 and C1 controls and line separators: whoever writes into our log must not be able to forge lines or colours.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


def escaped(text: str, limit: int = 8192) -> str:
    """One printable line of at most `limit` characters."""
    return text[:limit].translate(_CONTROLS)


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        area = record.name.removeprefix("ollamaspace.")
        line = f"{clock} {record.levelname.lower():7} {area:8} {escaped(record.getMessage())}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry: dict[str, object] = {
            "ts": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "area": record.name.removeprefix("ollamaspace."),
            "msg": escaped(record.getMessage()),
        }
        if request_id := getattr(record, "request_id", None):
            entry["request_id"] = request_id
        entry.update(getattr(record, "facts", {}))
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


class _Queued(QueueHandler):
    """Hands records over; formats nothing and never waits."""

    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        if not hasattr(record, "request_id"):
            record.request_id = REQUEST_ID.get()
        record.msg, record.args = record.getMessage(), None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
            if self.dropped:
                lost, self.dropped = self.dropped, 0
                note = logging.LogRecord(
                    "ollamaspace.logs", logging.WARNING, "", 0, f"{lost} log lines lost", None, None
                )
                self.queue.put_nowait(note)
        except queue.Full:
            self.dropped += 1


def set_up(form: str, level: str, on_space: bool, stream: TextIO | None = None) -> Callable[[], None]:
    """Send this process's logs to `stream` (stderr). Returns what must be called at the very end."""
    stream = stream or sys.stderr
    as_text = form == "text" or (form == "auto" and (on_space or (stream is not None and stream.isatty())))
    root = logging.getLogger()
    if stream is None:  # started with stderr closed: there is nobody to tell
        root.addHandler(logging.NullHandler())
        return lambda: None
    sink = logging.StreamHandler(stream)
    sink.setFormatter(TextFormatter() if as_text else JsonFormatter())
    lines: queue.Queue[logging.LogRecord] = queue.Queue(_QUEUE_SIZE)
    handler = _Queued(lines)
    listener = QueueListener(lines, sink)
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    listener.start()

    def finish() -> None:
        stopper = threading.Thread(target=listener.stop, daemon=True)
        stopper.start()
        stopper.join(_FLUSH_AT_EXIT)

    return finish
