"""Commands of deployments, checked against the help of the programs that they start."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

BIN = Path(sys.executable).parent


@functools.cache
def _help(*command: str) -> str:
    program = [str(BIN / command[0]), *command[1:], "--help"]
    done = subprocess.run(program, capture_output=True, text=True, check=False, env={"COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)


def unknown_options(command: Sequence[str]) -> list[str]:
    """Return the options of a command that its program does not have."""
    names = [word for word in command if word.startswith("--")]
    verbs = []
    for word in command:
        if word.startswith("-"):
            break
        verbs.append(word)
    text = _help(*verbs)
    return [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)]
