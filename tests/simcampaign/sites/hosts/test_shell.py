"""A command line arrives whole, whatever login shell reads it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from simcampaign.sites.hosts.shell import session_line
from tests.simcampaign.sites.hosts.contract import HOSTILE


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "zsh", "ksh", "mksh", "csh", "tcsh", "fish", "busybox"])
def test_every_login_shell_hands_arguments_on_as_they_are(shell: str, tmp_path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    arguments = [*HOSTILE, "", "%s %d", "\t", "a" * 500]
    program = "import json, os, sys; print(json.dumps([os.getpid(), *sys.argv[1:]]))"
    line = session_line([sys.executable, "-S", "-c", program, *arguments], "token")
    login = [shell, "sh"] if shell == "busybox" else [shell]
    done = subprocess.run([*login, "-c", line], capture_output=True, check=False, env={"HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    mark, _, out = done.stdout.removeprefix(b"\n").partition(b"\n")
    pid, *received = json.loads(out)
    assert received == arguments
    assert mark == b"token %d" % pid
