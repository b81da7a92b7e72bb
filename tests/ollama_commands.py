"""The two commands of the `ollama` program that the image's build uses, for the fake engine, which only serves.

    OLLAMA_HOST=127.0.0.1:PORT python ollama_commands.py list | pull MODEL

Only the standard library: it runs under whatever Python the image's user may run.
"""

from __future__ import annotations

import http.client
import json
import os
import sys


def main(words: list[str]) -> int:
    connection = http.client.HTTPConnection(os.environ["OLLAMA_HOST"], timeout=10)
    try:
        return listed(connection) if words[0] == "list" else pulled(connection, words[1])
    except OSError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def listed(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/api/tags")
    return 0 if connection.getresponse().status == 200 else 1


def pulled(connection: http.client.HTTPConnection, model: str) -> int:
    connection.request("POST", "/api/pull", json.dumps({"model": model}))
    for line in connection.getresponse():
        if "error" in (told := json.loads(line)):
            print("Error:", told["error"], file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
