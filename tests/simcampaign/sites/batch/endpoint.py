"""An endpoint of Batch on a real socket, which plays a script: answers, refusals and cut connections."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

CUT = "cut"
"""The connection ends without an answer."""

Answer = dict[str, Any] | tuple[int, str] | str
"""A result, a refusal as status and code, or ``CUT``."""


class Endpoint:
    """Asks ``play(operation, request)`` for each answer and keeps what was asked for."""

    def __init__(self, play: Callable[[str, dict[str, Any]], Answer]) -> None:
        self.asked: list[str] = []
        self.requests: list[dict[str, Any]] = []
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:  # noqa: N805 - the names that http.server calls
                body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
                operation = handler.path.rpartition("/")[2]
                with lock:
                    self.asked.append(operation)
                    self.requests.append(body)
                    answer = play(operation, body)
                if answer == CUT:
                    handler.close_connection = True
                    return
                status, document = 200, answer
                if isinstance(answer, tuple):
                    status, document = answer[0], {"message": "as the script has it"}
                data = json.dumps(document).encode()
                handler.send_response(status)
                if isinstance(answer, tuple):
                    handler.send_header("x-amzn-ErrorType", answer[1])
                handler.send_header("Content-Length", str(len(data)))
                handler.end_headers()
                handler.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Endpoint:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
