"""A person at a terminal, who types the next answer when asked."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence


class Terminal:
    """A command that runs at a terminal of its own."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Start ``simcampaign`` with these arguments."""
        self._master, slave = pty.openpty()
        command = [sys.executable, "-m", "simcampaign", *arguments]
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.seen, self._read = "", 0

    def expect(self, text: str, seconds: float = 60.0) -> None:
        """Read until ``text`` comes."""
        deadline = time.monotonic() + seconds
        while text not in self.seen[self._read :]:
            assert time.monotonic() < deadline, f"{text!r} did not come:\n{self.seen}"
            if select.select([self._master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self._master, 65536).decode()
                except OSError as error:
                    raise AssertionError(f"{text!r} did not come before the end:\n{self.seen}") from error
        self._read = self.seen.index(text, self._read) + len(text)

    def answer(self, question: str, text: str) -> None:
        """Type ``text`` when asked."""
        self.expect(question)
        os.write(self._master, f"{text}\n".encode())

    def interrupt(self) -> None:
        """Press Ctrl-C, and again if it was not heard, as between a prompt and the start of reading the answer."""
        for _ in range(10):
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                continue
            return

    def end(self) -> int:
        """Read what is left and return the exit status."""
        deadline = time.monotonic() + 60
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it did not end:\n{self.seen}"
            self._drain()
        self._drain()
        os.close(self._master)
        return self.process.returncode

    def _drain(self) -> None:
        while select.select([self._master], [], [], 0.05)[0]:
            try:
                self.seen += os.read(self._master, 65536).decode()
            except OSError:
                return
