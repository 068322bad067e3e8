"""A socket between a client and a daemon that can be cut, and that can lose the daemon's answers."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from pathlib import Path

_PIECE = 65536


class Relay:
    """Passes connections on to ``upstream``, the path of a daemon's socket, from ``with`` to its end."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._folder = Path(tempfile.mkdtemp(prefix="relay-", dir="/tmp"))
        self._path = self._folder / "s"
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._losing = b""
        self._doomed: set[socket.socket] = set()
        self.lost = 0
        """Answers that were lost so far."""

    @property
    def address(self) -> str:
        return f"unix://{self._path}"

    def __enter__(self) -> Relay:
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        shutil.rmtree(self._folder)

    def lose(self, request: str) -> None:
        """Cut each connection on which a request with this text was passed on, before it is answered."""
        self._losing = request.encode()

    def cut(self) -> None:
        """End all connections, and accept no more."""
        if self._listener is None:
            return
        self._path.unlink()
        self._shut(self._listener)
        self._listener = None
        with self._lock:
            for each in self._open:
                self._shut(each)

    def mend(self) -> None:
        """Accept connections again."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._path.chmod(0o666)
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    @staticmethod
    def _shut(each: socket.socket) -> None:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(self._upstream)
                except OSError:
                    client.close()
                    continue
                with self._lock:
                    self._open |= {client, server}
                for pair in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE):
                if asks and self._losing and self._losing in data:
                    self._doomed.add(target)
                if not asks and source in self._doomed:  # it is done, as it is answered
                    self.lost += 1
                    break
                target.sendall(data)
        self._shut(source)
        self._shut(target)
        with self._lock:
            self._open -= {source, target}
