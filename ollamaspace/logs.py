"""Logs: text for people, JSON for machines, on stderr.

No prompt, answer, key or query string is ever logged. Writing happens in a thread behind a bounded queue, because a
full pipe at the other end of stderr must not stop the event loop; lines beyond the bound are counted and dropped.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import logging
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Callable
from logging.handlers import QueueHandler, QueueListener

REQUEST_ID: contextvars.ContextVar[str | None] = contextvars.ContextVar("request_id", default=None)

_QUEUE_SIZE = 4096
_FLUSH_AT_EXIT = 0.5  # seconds a blocked stderr may delay the end of the process
_FLUSH_POLL = 0.005

# C0 and C1 controls and line separators: whoever writes into our log must not be able to forge lines or colours.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


def escaped(text: str, limit: int = 8192) -> str:
    """One printable line of at most `limit` characters."""
    return text[:limit].translate(_CONTROLS)


def _trace(formatted: str) -> str:
    """A traceback, whose last line holds words of whoever caused it: line by line, and set off from log lines."""
    return "\n".join(f"  | {escaped(line)}" for line in formatted.splitlines())


class TextFormatter(logging.Formatter):
    """`live`: on a terminal a line may stand half drawn where the next log line goes."""

    def __init__(self, live: bool = False) -> None:
        super().__init__()
        self._first = "\r\033[K" if live else ""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        area = record.name.removeprefix("ollamaspace.")
        line = f"{self._first}{clock} {record.levelname.lower():7} {area:8} {escaped(record.getMessage())}"
        if record.levelno >= logging.WARNING and (request_id := getattr(record, "request_id", None)):
            line += f" [{escaped(request_id)}]"
        if record.exc_info:
            line += "\n" + _trace(self.formatException(record.exc_info))
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
            entry["trace"] = _trace(self.formatException(record.exc_info))
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
            if self.dropped:
                lost = f"{self.dropped} log lines lost"
                self.queue.put_nowait(logging.LogRecord("ollamaspace.logs", logging.WARNING, "", 0, lost, None, None))
                self.dropped = 0
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _Writer(QueueListener):
    """The thread that writes, straight to a file descriptor and under no lock that anybody else wants.

    One that is stuck in `sys.stderr` or in a handler of `logging` would hang or abort the interpreter at its end.
    """

    def __init__(self, lines: queue.Queue[logging.LogRecord], descriptor: int, formatter: logging.Formatter) -> None:
        super().__init__(lines)
        self._descriptor = descriptor
        self._formatter = formatter

    def handle(self, record: logging.LogRecord) -> None:
        data = f"{self._formatter.format(record)}\n".encode("utf-8", "backslashreplace")
        with contextlib.suppress(OSError):  # whoever read this has gone; there is nobody else to tell
            while data:
                data = data[self._write(data) :]

    def _write(self, data: bytes) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # somebody who shares the descriptor has made it so
            select.select([], [self._descriptor], [])
            return 0


def set_up(form: str, level: str, on_space: bool) -> Callable[[], None]:
    """Send this process's logs to stderr. Returns what must be called at the very end."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    if sys.stderr is None:  # started with stderr closed: there is nobody to tell
        root.handlers[:] = [logging.NullHandler()]
        return lambda: None
    live = sys.stderr.isatty()
    as_text = form == "text" or (form == "auto" and (on_space or live))
    lines: queue.Queue[logging.LogRecord] = queue.Queue(_QUEUE_SIZE)
    writer = _Writer(lines, sys.stderr.fileno(), TextFormatter(live) if as_text else JsonFormatter())
    root.handlers[:] = [_Queued(lines)]
    writer.start()

    def finish() -> None:
        deadline = time.monotonic() + _FLUSH_AT_EXIT
        while not lines.empty() and time.monotonic() < deadline:
            time.sleep(_FLUSH_POLL)
        # With room in the queue its end can be announced; without, the thread ends with the process.
        if not lines.full():
            stopper = threading.Thread(target=writer.stop, daemon=True)
            stopper.start()
            stopper.join(max(0.0, deadline - time.monotonic()))

    return finish
