"""Slurm: ``sbatch``, ``squeue``, ``sacct``, ``scancel``, ``sinfo``, ``scontrol``. Tried with 22.05."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from simcampaign.errors import SiteError
from simcampaign.fields import Text
from simcampaign.sites.base import Queue
from simcampaign.sites.cluster.adapter import OTHERS, Adapter, Jobs, Limits, Seen
from simcampaign.sites.cluster.options import ClusterOptions
from simcampaign.sites.cluster.ranges import from_text, to_text
from simcampaign.sites.cluster.slurm_words import BUSY, REASONS, STATES
from simcampaign.sites.hosts.base import Done

_ID = re.compile(r"(\d+)(?:;[^\s;]+)?")
_TASK = re.compile(r"(?P<array>\d+)(?:_(?P<one>\d+)|_\[(?P<many>[\d,:-]+)(?:%\d+)?\])?(?P<step>\.\S+)?")
_UNKNOWN_ID = "invalid job id specified"
_OVER = re.compile(r"invalid job id specified|already completing or completed|job/step already", re.IGNORECASE)
_NO_ACCOUNTING = re.compile(r"accounting storage is disabled|accounting_storage/none", re.IGNORECASE)
_SIZE = re.compile(r"([\d.]+)([KMGTP]?)")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_DAYS_BACK = 30
"""How far back accounting is searched for an array's name; no intent is left alone for so long."""

_FIND = f"""
squeue --noheader --states=all --name="$1" --format=%F || exit
sacct --noheader --parsable2 --allocations --starttime=now-{_DAYS_BACK}days --name="$1" --format=JobID 2>/dev/null || :
"""


@dataclass(kw_only=True)
class SlurmOptions(ClusterOptions):
    """A Slurm cluster."""

    partition: Text | None = None
    """Partition that jobs are sent to; by default the cluster's own default."""

    qos: Text | None = None
    """Quality of service."""

    constraint: Text | None = None
    """Features that nodes must have, e.g. `intel&fast`."""

    gpu_type: Text | None = None
    """Kind of GPU, as the cluster calls it, e.g. `a100`."""


class Slurm(Adapter):
    """Slurm's commands and answers."""

    name = "slurm"
    title = "Slurm"
    STATES = STATES
    REASONS = REASONS

    def submit_command(self, script_path: str) -> Sequence[str]:
        """Return ``sbatch``."""
        return ["sbatch", "--parsable", script_path]

    def parse_submitted(self, text: str) -> str:
        """Read ``123`` or ``123;cluster``."""
        lines = text.strip().splitlines()
        match = _ID.fullmatch(lines[-1].strip()) if lines else None
        if match is None:
            raise self.nonsense(text)
        return match[1]

    def test_command(self, script_path: str) -> Sequence[str]:
        """Return ``sbatch --test-only``, which checks partition, account and size, and queues nothing."""
        return ["sbatch", "--test-only", script_path]

    def status_command(self, ids: Sequence[str]) -> Sequence[str]:
        """Return ``squeue`` with a line for each job, ended ones too as long as the controller remembers them."""
        fields = "--format=%F|%K|%T|%r"
        return ["squeue", "--noheader", "--array", "--states=all", fields, f"--jobs={','.join(ids)}"]

    def parse_status(self, done: Done) -> Jobs:
        """Read ``ARRAY|INDEX|STATE|REASON`` lines; a reason may hold blanks and bars."""
        if done.code and _UNKNOWN_ID in done.err.decode(errors="replace").lower():
            return {}
        self.refuse(done)
        jobs: dict[str, dict[int, Seen]] = {}
        for line in done.text.splitlines():
            parts = line.strip().split("|", 3)
            if len(parts) != 4 or not parts[0].isdecimal():
                raise self.nonsense(line)
            array, index, state, reason = parts
            seen = self.seen(state, "" if reason == "None" else reason.partition(",")[0])
            jobs.setdefault(array, {}).update(dict.fromkeys(self._indices(index, line), seen))
        return jobs

    def _indices(self, text: str, line: str) -> Sequence[int]:
        """Return the indices of one line; a range where Slurm did not take jobs apart.

        Of an array whose waiting jobs were cancelled in several steps, one record without an index is left.
        """
        if text in {"N/A", ""}:
            return [OTHERS]
        try:
            return list(from_text(text.strip("[]").partition("%")[0]))
        except ValueError as error:
            raise self.nonsense(line) from error

    def accounting_command(self, ids: Sequence[str]) -> Sequence[str]:
        """Return ``sacct`` with jobs and their steps, as memory is told of steps alone; times since the epoch."""
        fields = "--format=JobID,State,ExitCode,Start,End,TotalCPU,MaxRSS"
        command = ["sacct", "--noheader", "--parsable2", fields, f"--jobs={','.join(ids)}"]
        return ["env", "SLURM_TIME_FORMAT=%s", *command]

    def parse_accounting(self, done: Done) -> Jobs:
        """Read what ``sacct`` printed; jobs that never started stay one line with a range of indices."""
        if done.code and _NO_ACCOUNTING.search(done.err.decode(errors="replace")):
            return {}
        self.refuse(done)
        jobs: dict[str, dict[int, Seen]] = {}
        peaks: dict[tuple[str, int], int] = {}
        for line in done.text.splitlines():
            parts = line.strip().split("|")
            task = _TASK.fullmatch(parts[0])
            if len(parts) != 7 or task is None:
                raise self.nonsense(line)
            try:
                indices = list(from_text(task["one"] or task["many"] or "")) or [OTHERS]
            except ValueError as error:
                raise self.nonsense(line) from error
            if task["step"] is None:
                jobs.setdefault(task["array"], {}).update(dict.fromkeys(indices, self._accounted(parts, line)))
            elif memory := _bytes(parts[6]):
                key = (task["array"], indices[0])
                peaks[key] = max(peaks.get(key, 0), memory)
        for (array, index), memory in peaks.items():
            if seen := jobs.get(array, {}).get(index):
                jobs[array][index] = replace(seen, peak_memory_bytes=memory)
        return jobs

    def _accounted(self, parts: Sequence[str], line: str) -> Seen:
        """Read one job's line; ``CANCELLED by 0`` names the user, ``0:9`` is an exit code and a signal."""
        code, _, number = parts[2].partition(":")
        if not (code.isdecimal() and number.isdecimal()):
            raise self.nonsense(line)
        state = parts[1].split(" ", 1)[0].rstrip("+")
        return self.seen(
            state,
            exit_code=128 + int(number) if int(number) else int(code),
            started=_seconds(parts[3]),
            ended=_seconds(parts[4]),
            cpu_seconds=_duration(parts[5]),
        )

    def find_command(self, name: str) -> Sequence[str]:
        """Return ``squeue`` and ``sacct`` by name; without accounting the first alone counts."""
        return ["/bin/sh", "-c", _FIND, "sh", name]

    def parse_found(self, done: Done, name: str) -> Sequence[str]:
        """Read the arrays' ids: of ``squeue`` plain, of ``sacct`` with the index."""
        del name
        self.refuse(done)
        found: dict[str, None] = {}
        for line in done.text.split():
            match = _TASK.fullmatch(line)
            if match is None:
                raise self.nonsense(line)
            found[match["array"]] = None
        return list(found)

    def cancel_command(self, array_id: str, indices: Sequence[int] | None) -> Sequence[str]:
        """Return ``scancel`` of the array, or of ``ID_[0-3,7]``."""
        return ["scancel", array_id if indices is None else f"{array_id}_[{to_text(indices)}]"]

    def is_over(self, done: Done) -> bool:
        """Tell whether ``scancel`` only says that the jobs have ended."""
        return done.code == 0 or bool(_OVER.search(done.err.decode(errors="replace")))

    def version_command(self) -> Sequence[str]:
        """Return ``sinfo --version``."""
        return ["sinfo", "--version"]

    def queues_command(self) -> Sequence[str]:
        """Return ``sinfo`` with a line for each node of each partition."""
        fields = "Partition:120 ,Available:20 ,Time:30 ,StateLong:30 ,CPUsState:40 ,Memory:20 ,AllocMem:20 "
        return ["sinfo", "--noheader", "--Node", f"--Format={fields}"]

    def parse_queues(self, done: Done) -> Sequence[Queue]:
        """Add up the nodes of each partition."""
        self.refuse(done)
        queues: dict[str, Queue] = {}
        for line in done.text.splitlines():
            parts = line.split()
            cores = parts[4].split("/") if len(parts) == 7 else ()
            if len(cores) != 4 or not all(each.isdecimal() for each in (*cores, parts[5])):
                raise self.nonsense(line)
            name = parts[0].rstrip("*")
            before = queues.get(name) or Queue(name, parts[1], 0, 0, 0, 0, 0, 0, _limit(parts[2]), parts[0][-1] == "*")
            used = int(parts[6]) if parts[6].isdecimal() else 0
            queues[name] = replace(
                before,
                nodes=(before.nodes or 0) + 1,
                nodes_used=(before.nodes_used or 0) + (int(cores[0]) > 0),
                cores=(before.cores or 0) + int(cores[3]),
                cores_used=(before.cores_used or 0) + int(cores[0]),
                memory_mb=(before.memory_mb or 0) + int(parts[5]),
                memory_used_mb=(before.memory_used_mb or 0) + used,
            )
        return list(queues.values())

    def limits_command(self) -> Sequence[str]:
        """Return ``scontrol show config``."""
        return ["scontrol", "show", "config"]

    def parse_limits(self, done: Done) -> Limits:
        """Read ``MaxArraySize``, which is one more than the largest index, and whether there is accounting."""
        self.refuse(done)
        config = dict(_settings(done.text))
        size, accounting = config.get("MaxArraySize", ""), config.get("AccountingStorageType", "")
        if not size.isdecimal():
            raise SiteError("Slurm does not tell its MaxArraySize", "set max_array_size in the site's options")
        return Limits(int(size), bool(accounting) and not accounting.endswith(("/none", "(null)")))

    def is_busy(self, done: Done) -> bool:
        """Tell whether the controller did not answer, or asked to come again."""
        return done.code != 0 and bool(BUSY.search(done.err.decode(errors="replace")))


def _settings(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, separator, value = line.partition("=")
        if separator:
            yield name.strip(), value.strip()


def _bytes(text: str) -> int:
    match = _SIZE.fullmatch(text)
    return int(float(match[1]) * _UNITS[match[2]]) if match else 0


def _seconds(text: str) -> float | None:
    return float(text) if text.isdecimal() else None


def _duration(text: str) -> float | None:
    """Read ``[DAYS-][HOURS:]MINUTES:SECONDS[.MILLISECONDS]`` as seconds; None for anything else."""
    days, _, clock = text.rpartition("-")
    parts = clock.split(":")
    try:
        seconds = sum(float(part) * 60**power for power, part in enumerate(reversed(parts)))
        return seconds + 86400 * int(days or 0) if len(parts) in {2, 3} else None
    except ValueError:
        return None


def _limit(text: str) -> float | None:
    """Read a partition's time limit: as a duration, or in plain minutes; None for ``infinite``."""
    return 60 * float(text) if text.isdecimal() else _duration(text)
