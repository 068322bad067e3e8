"""Asking a person at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from simcampaign.cli.output import say
from simcampaign.errors import ABSENT, ConfigError, Problem, SimcampaignError

Answer = TypeVar("Answer")


class Person:
    """Whoever sits at the terminal; nobody if the input is none, or if nothing is to be asked."""

    def __init__(self, *, asked: bool) -> None:
        """Ask only if ``asked``."""
        self.asked = asked and sys.stdin.isatty()

    def ask(
        self, question: str, default: str | None = None, *, field: str = "NAME", check: Callable[[str], Answer]
    ) -> Answer | str:
        """Return the checked answer; Enter gives the default as it is, which None says there is not.

        Asks again after an answer that ``check`` refuses. Raises ``ConfigError`` if there is nobody to ask.
        """
        if not self.asked:
            if default:
                return check(default)
            raise ConfigError([Problem(field, ABSENT, "is missing, and there is nobody to ask")])
        while True:
            answer = self._read(f"{question}{f' [{default}]' if default else ''}: ")
            if not answer and default is not None:
                return check(default) if default else default
            try:
                return check(answer)
            except SimcampaignError as error:
                problems = error.problems if isinstance(error, ConfigError) else [error]
                say("\n".join(f"  {problem}" for problem in problems))

    def agrees(self, question: str, *, default: bool) -> bool:
        """Return whether the person says yes; nobody says no."""
        if not self.asked:
            return False
        answer = self._read(f"{question} [{'Y/n' if default else 'y/N'}] ").lower()
        return default if not answer else answer in {"y", "yes"}

    def _read(self, prompt: str) -> str:
        try:
            return input(prompt).strip()
        except EOFError as error:
            raise ConfigError([Problem("answer", ABSENT, "the input ended before all was asked")]) from error
