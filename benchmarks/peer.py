"""Peers of benchmarks, in a virtual environment of their own that is made when one of them is first asked."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simcampaign.places import cache_folder

PEER = "container-collection 1.1.0"
_REQUIREMENTS = Path(__file__).parent.parent / "requirements"
PINS = _REQUIREMENTS / "peers.txt"
JOB_MANAGER = "pyedb 0.65.2"
JOB_MANAGER_PINS = _REQUIREMENTS / "pyedb.txt"
CLOUD_CLIENT = "tidy3d 2.12.1"
TIDY3D_PINS = _REQUIREMENTS / "tidy3d.txt"
FLEX_RF_PINS = _REQUIREMENTS / "flexrf.txt"

# The package's own __init__ wraps each function in a Prefect task, for which it needs Prefect 2. The function's file is
# loaded by its path instead: the very same code, without the cost of Prefect.
ASK = """
import importlib.util, json, sys, sysconfig, time
from pathlib import Path
import pandas
question = json.load(open(sys.argv[1]))
path = Path(sysconfig.get_path("purelib"), "container_collection", "manifest", "find_missing_conditions.py")
spec = importlib.util.spec_from_file_location("peer", path)
peer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(peer)
manifest = pandas.read_csv(question.pop("manifest"), dtype=str)
cpu = time.process_time()
found = peer.find_missing_conditions(manifest, **question)
print(json.dumps({"cpu": time.process_time() - cpu, "found": len(found)}))
"""


class PeerUnavailable(Exception):  # noqa: N818 - not being there is no error of ours
    """A peer cannot be installed here."""


def ask_peer(question: Mapping[str, Any]) -> dict[str, Any]:
    """Have the peer find what is missing; returns ``cpu`` in seconds and ``found``, the number of runs.

    ``question`` has the arguments of its function; ``manifest`` is the path of a CSV file.
    """
    python = environment()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(question, file)
        file.flush()
        done = subprocess.run(
            [python, "-W", "ignore", "-c", ASK, file.name], check=True, stdout=subprocess.PIPE, text=True
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def environment(pins: Path = PINS) -> Path:
    """Return the Python of the peers' environment, after making it if these pins have none yet."""
    if sys.version_info >= (3, 12) and pins not in {TIDY3D_PINS, FLEX_RF_PINS}:
        raise PeerUnavailable("some of the peers have no wheels beyond Python 3.11")
    folder = cache_folder() / "peers" / hashlib.sha256(pins.read_bytes()).hexdigest()[:12]
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"Setting up the peers in {folder} (once)", flush=True)
        draft = folder.with_name(f"{folder.name}.new")
        venv.create(draft, clear=True, with_pip=True)
        done = subprocess.run(
            [*_installer(draft / "bin" / "python"), "--no-deps", "--require-hashes", "-r", pins], check=False
        )
        if done.returncode:
            shutil.rmtree(draft)
            raise PeerUnavailable("pip could not install them, see above")
        draft.rename(folder)
    return python


def _installer(python: Path) -> list[str]:
    """Return the command that installs into an environment: uv's, if there is one, is several times faster."""
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        return [str(uv), "pip", "install", "-q", "--compile-bytecode", "--python", str(python)]
    return [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
