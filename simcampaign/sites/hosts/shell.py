"""Command lines that arrive whole, whatever the login shell at the other end is."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Sequence

_PLAIN = re.compile(rb"[^A-Za-z0-9_./=:,@%+ -]")


def session_line(command: Sequence[str], token: str) -> bytes:
    """Return the command line that runs a program in the place of the login shell.

    It first prints ``token`` and its process id on a line, so that what a login shell's own start-up prints can be told
    from what the program prints, and the program be killed.
    """
    return posix_line(f"printf '\\n%s %d\\n' {token} $$; exec {shlex.join(command)}")


def posix_line(script: str) -> bytes:
    """Return a command line for any login shell that lets ``/bin/sh`` run a script.

    csh changes ``!`` and line ends in quotes, fish backslashes: everything but plain characters travels as octal
    numbers, which bash, dash, zsh, csh, tcsh and fish leave alone in single quotes.
    """
    data = _PLAIN.sub(lambda match: b"\\0%03o" % match[0][0], script.encode(errors="surrogateescape"))
    return b"""exec /bin/sh -c 'eval "$(printf %%b "$0")"' '%s'""" % data


def new_token() -> str:
    """Return a word that no start-up file prints."""
    return f"simcampaign-{secrets.token_hex(8)}"


def kill_script(pid: int) -> str:
    """Return the script that kills a session's processes, or its first one where it leads no group."""
    return f"kill -9 -{pid} 2>/dev/null || kill -9 {pid}"
