"""Reads and solves simulations of tidy3d, in tidy3d's own environment: nothing of simcampaign is there.

    python worker.py examine SOCKET         answer each path, a line of input, with a line of JSON, after an empty one
    python worker.py solve INPUT OUTPUT     exit status: 0 solved, 1 the solver failed, 2 the input is wrong

tidy3d takes ten seconds and more to import. So the examiner, which has it, also listens at SOCKET and forks processes
that solve what it is asked to there (see ``asker.py``); elsewhere ``solve`` imports it itself.

Further solvers are found by the entry-point group ``simcampaign.tidy3d_solvers``: named as a class of tidy3d, each has
``estimate(simulation)``, which returns cells and steps, and ``solve(simulation, progress)``, which returns the data.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import gzip
import json
import os
import resource
import select
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

GROUP = "simcampaign.tidy3d_solvers"
PREFIX = "tidy3d."
RATE = 1e-9
"""Credits for the update of one cell by one step, as for the types of simcampaign."""

MODE_STEPS = 10_000
"""Steps that a mode solve of one frequency is worth."""

MAX_CELLS = 1_000_000
"""Cells of a cross-section that are solved."""

MEMORY_BYTES = 8 * 2**30
"""Address space of the process that reads clients' files."""

LARGEST_BYTES = 4 * 2**30
"""Size of a file once it is unpacked."""

LONGEST_FAULT = 2000

MOST_IDLE = os.cpu_count() or 1
"""Processes that are kept for the next file: to fork one of this size takes as long as to read a small file."""

MOST_SOLVED = 100
"""Files that one process solves, so that what it does not free is freed."""

MOST_KEPT_BYTES = 2 * 2**30
"""A process that took more memory than this ends with the file that it solved."""

Progress = Callable[[float, float], None]


class WrongFile(Exception):  # noqa: N818 - what a client is told
    """The file cannot be solved; the message says why."""


class Solver(Protocol):
    """What solves one class of simulations."""

    def estimate(self, simulation: Any) -> tuple[int, int]:
        """Return cells and steps at most."""

    def solve(self, simulation: Any, progress: Progress) -> Any:
        """Return the data."""


class Modes:
    """tidy3d's own mode solver. It averages no permittivity in cells that a boundary cuts."""

    def estimate(self, simulation: Any) -> tuple[int, int]:
        """Return cells of the plane, and steps for all frequencies."""
        plane = simulation._mode_solver if hasattr(simulation, "run_local") else simulation
        cells, frequencies, _ = plane._num_cells_freqs_modes
        if cells > MAX_CELLS:
            raise WrongFile(f"its plane has {cells:,} cells; at most {MAX_CELLS:,} are solved: make the grid coarser")
        return int(cells), MODE_STEPS * int(frequencies)

    def solve(self, simulation: Any, progress: Progress) -> Any:
        """Return modes."""
        progress(0, 0)
        data = simulation.run_local() if hasattr(simulation, "run_local") else simulation.solve()
        progress(100, 0)
        return data


@functools.cache
def solvers() -> Mapping[str, Solver]:
    """Return what solves here, by the names of the classes."""
    others = {each.name: each.load() for each in entry_points(group=GROUP)}
    return {"ModeSolver": Modes(), "ModeSimulation": Modes(), **others}


def read(path: Path) -> Any:
    """Return the simulation in a file. Raises ``WrongFile``."""
    import h5py  # noqa: PLC0415 - with tidy3d these take seconds
    import tidy3d.web  # noqa: PLC0415 - all types are known once this is imported
    from tidy3d.components.base import Tidy3dBaseModel  # noqa: PLC0415

    with _unpacked(path) as plain:
        try:
            with h5py.File(plain) as file:
                _refuse_links(file)
            return Tidy3dBaseModel.from_file(str(plain))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WrongFile(f"it is no file of this tidy3d ({tidy3d.__version__}): {error}"[:LONGEST_FAULT]) from error


@contextlib.contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "simulation.hdf5")
        left = LARGEST_BYTES
        try:
            with gzip.open(path) as source, plain.open("wb") as target:
                while piece := source.read(2**20):
                    left -= len(piece)
                    if left < 0:
                        raise WrongFile(f"unpacked it is larger than {LARGEST_BYTES:,} bytes")
                    target.write(piece)
        except (OSError, EOFError) as error:
            raise WrongFile(f"it cannot be unpacked: {error}") from error
        yield plain


def _refuse_links(group: Any) -> None:
    """Refuse what leads out of the file: it could show other files of this host."""
    import h5py  # noqa: PLC0415

    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise WrongFile(f"{group.name}/{name} is a link, and links are not followed")
        item = group[name]
        if isinstance(item, h5py.Group):
            _refuse_links(item)
        elif item.external or item.is_virtual:
            raise WrongFile(f"{item.name} keeps its data in another file")


def solver_of(simulation: Any) -> Solver:
    """Return what solves a simulation. Raises ``WrongFile`` with a sentence that says what is missing."""
    name, known = type(simulation).__name__, solvers()
    if name not in known:
        named = " and ".join(sorted(known))
        raise WrongFile(f"no solver for {name} is registered here; this service solves {named} of tidy3d")
    return known[name]


def quote(simulation: Any) -> dict[str, Any]:
    """Return the type of a simulation, and what it costs at most. Raises ``WrongFile``."""
    name = f"{PREFIX}{type(simulation).__name__}"
    try:
        cells, steps = solver_of(simulation).estimate(simulation)
    except WrongFile:
        raise
    except Exception as error:  # a fault of one solver must not end the process that reads all files
        raise WrongFile(f"the solver registered for {name} cannot quote it: {error!r}"[:LONGEST_FAULT]) from error
    return {"type": name, "cells": cells, "steps": steps, "credits": round(cells * steps * RATE, 9)}


def look_into(path: Path) -> dict[str, Any]:
    """Return the quote of a file, or its fault."""
    try:
        return quote(read(path))
    except WrongFile as wrong:
        return {"fault": str(wrong)}
    except (MemoryError, RecursionError) as error:
        return {"fault": f"it is too large to be read here ({type(error).__name__})"}


def examine(path: Path) -> None:
    """Answer until there is nothing more to read, and have the crew solve for whoever comes to the socket."""
    # tidy3d prints warnings; they must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _warm_up()
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, most))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listening = _listen(path)
    crew = Crew(most, (0, answers.fileno(), listening.fileno()))
    answers.write("\n")
    answers.flush()
    while True:
        leads = {each.fileno(): each for each in crew.leads}
        ready, _, _ = select.select([0, listening.fileno(), *leads], [], [])
        for each in leads.keys() & set(ready):
            crew.hear(leads[each])
        if listening.fileno() in ready:
            connection, _ = listening.accept()
            with connection:
                crew.give(connection)
        if 0 in ready:
            line = sys.stdin.readline()
            if not line:
                return
            answers.write(json.dumps(look_into(Path(line.rstrip("\n")))) + "\n")
            answers.flush()


def _warm_up() -> None:
    """Import and prepare what solving needs, by solving something small, from its file to that of its result."""
    import tidy3d.web  # noqa: PLC0415
    from tidy3d.plugins.mode import ModeSolver  # noqa: PLC0415

    core = tidy3d.Structure(geometry=tidy3d.Box(size=(0.4, 0.4, 1)), medium=tidy3d.Medium(permittivity=12))
    grid = tidy3d.GridSpec.uniform(0.2)
    space = tidy3d.Simulation(size=(2, 2, 1), grid_spec=grid, structures=[core], run_time=1e-15)
    modes = tidy3d.ModeSpec(num_modes=1)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "simulation.hdf5.gz")
        ModeSolver(simulation=space, plane=tidy3d.Box(size=(1.6, 1.6, 0)), mode_spec=modes, freqs=[3e14]).to_hdf5_gz(
            str(source)
        )
        solve(source, Path(folder, "result.hdf5"))
    # Forked processes share what is here; a collection of garbage in them would write to all of it.
    gc.freeze()


def _listen(path: Path) -> socket.socket:
    """Return a socket for this user alone. Its name is relative: the path of a socket may not be long."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    path.unlink(missing_ok=True)
    os.chdir(path.parent)
    before = os.umask(0o177)
    listening.bind(path.name)
    os.umask(before)
    listening.listen(64)
    return listening


class Crew:
    """Processes that solve, forked from this one, which has everything imported; each solves one file after another."""

    def __init__(self, memory: int, not_theirs: tuple[int, ...]) -> None:
        """Give them the ``memory`` that this process gave up, and keep open nothing of what is ``not_theirs``.

        Whoever waits for the end of this process must not wait for theirs.
        """
        self._memory, self._not_theirs = memory, not_theirs
        self.leads: set[socket.socket] = set()
        """One to each process."""

        self._idle: list[socket.socket] = []

    def give(self, connection: socket.socket) -> None:
        """Have one of them solve for whoever is at the other end."""
        while True:
            lead = self._idle.pop() if self._idle else self._fork(connection)
            try:
                socket.send_fds(lead, [b"solve"], [connection.fileno()])
            except OSError:  # it has ended meanwhile
                self._forget(lead)
            else:
                return

    def hear(self, lead: socket.socket) -> None:
        """Take note that a process is idle again, or has ended."""
        said = b""
        with contextlib.suppress(OSError):
            said = lead.recv(8)
        if said and len(self._idle) < MOST_IDLE:
            self._idle.append(lead)
        else:
            self._forget(lead)

    def _forget(self, lead: socket.socket) -> None:
        self.leads.discard(lead)
        self._idle = [each for each in self._idle if each is not lead]
        lead.close()  # a process that is there still ends

    def _fork(self, connection: socket.socket) -> socket.socket:
        lead, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork():
            its.close()
            self.leads.add(lead)
            return lead
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_AS, (self._memory, self._memory))
            for each in (*self._not_theirs, *(other.fileno() for other in (connection, lead, *self.leads))):
                os.close(each)
            _work(its)
        except BaseException:  # noqa: BLE001 - told in the log of the job
            traceback.print_exc()
        finally:
            os._exit(0)


def _work(lead: socket.socket) -> None:
    """Solve what comes over the lead, until it ends."""
    for _ in range(MOST_SOLVED):
        _, descriptors, _, _ = socket.recv_fds(lead, 8, 1)
        if not descriptors:
            return
        with socket.socket(fileno=descriptors[0]) as connection:
            _serve(connection)
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > MOST_KEPT_BYTES:
            return
        lead.send(b"idle")


def _serve(connection: socket.socket) -> None:
    """Solve for whoever is at the other end, where they are; if they go, so does this process."""
    message, descriptors, _, _ = socket.recv_fds(connection, 2**16, 2)
    if len(descriptors) != 2:
        return
    folder, source, target = os.fsdecode(message).split("\0")
    _print_to(*descriptors)
    os.chdir(folder)
    done = threading.Event()
    watching = threading.Thread(target=_end_with, args=(connection, done), daemon=True)
    watching.start()
    status = solve(Path(source), Path(target))
    sys.stdout.flush()
    done.set()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    _print_to(nowhere, os.dup(nowhere))
    os.chdir("/")
    with contextlib.suppress(OSError):  # they went in this instant
        connection.send(bytes([status]))
        connection.shutdown(socket.SHUT_RD)
    watching.join()


def _print_to(out: int, err: int) -> None:
    for number, descriptor in ((1, out), (2, err)):
        os.dup2(descriptor, number)
        os.close(descriptor)


def _end_with(connection: socket.socket, done: threading.Event) -> None:
    connection.recv(1)  # nothing is ever sent: the other end is gone, or all is done
    if not done.is_set():
        os._exit(128 + signal.SIGTERM)


def solve(source: Path, target: Path) -> int:
    """Solve a file; the result is there whole or not at all, after its cost."""
    try:
        simulation = read(source)
        told = quote(simulation)
        data = solver_of(simulation).solve(simulation, _tell)
    except WrongFile as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 2
    except (ValueError, TypeError, RuntimeError, ArithmeticError, MemoryError) as error:
        sys.stderr.write(f"tidy3d could not solve it: {error or type(error).__name__}\n")
        return 1
    part = target.with_name(f"{target.name}.part.hdf5.gz")
    data.to_hdf5_gz(str(part))
    target.with_name(f"{target.name}.json").write_text(json.dumps(told), encoding="utf-8")
    part.replace(target)
    return 0


def _tell(percent: float, field_decay: float) -> None:
    sys.stdout.write(f"progress {percent:.1f} {field_decay:.3g}\n")
    sys.stdout.flush()


def main() -> int:
    """Do what the arguments say."""
    if sys.argv[1] == "examine":
        examine(Path(sys.argv[2]))
        return 0
    _, source, target = sys.argv[1:]
    return solve(Path(source), Path(target))


if __name__ == "__main__":
    sys.exit(main())
