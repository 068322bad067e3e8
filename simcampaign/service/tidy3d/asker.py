"""Has a file of tidy3d solved by the process that has tidy3d imported; where there is none, becomes one that solves.

    python -S asker.py INPUT OUTPUT     exit status: that of ``worker.py solve``, which must lie beside it

One is started for each job, so it imports next to nothing: that took longer than everything else it does.
"""

from __future__ import annotations

import os
import socket
import sys

WARM = "SIMCAMPAIGN_TIDY3D"
"""Variable with the path of the socket at which that process listens."""


def ask(path: str, source: str, target: str) -> int | None:
    """Have a file solved, and return its exit status; None if nobody listens, or who did died."""
    here = os.getcwd()  # noqa: PTH109 - pathlib takes long to import
    folder, name = os.path.split(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        try:
            os.chdir(folder)  # the path of a socket may not be long
            connection.connect(name)
        except OSError:
            return None
        finally:
            os.chdir(here)
        socket.send_fds(connection, [os.fsencode("\0".join((here, source, target)))], [1, 2])
        answer = connection.recv(1)
        return answer[0] if answer else None


def main() -> None:
    """Do what the arguments say."""
    source, target = sys.argv[1:]
    status = ask(os.environ[WARM], source, target) if WARM in os.environ else None
    if status is None:
        worker = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")  # noqa: PTH100, PTH118, PTH120
        os.execv(sys.executable, [sys.executable, worker, "solve", source, target])  # noqa: S606 - no shell
    sys.exit(status)


if __name__ == "__main__":
    main()
