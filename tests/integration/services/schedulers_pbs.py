"""What OpenPBS's commands take and print, over ``schedulers_core.py``; after what a real 23.06 was seen to print."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.integration.services.schedulers_core import ENDED, RUNNING, Answer, Array, Scheduler, Task, directives

HOST = "pbshost"
MAX_ARRAY = 100
QUEUES = ("workq", "shortq")
_ID = re.compile(rf"(\d+)(?:\[([\d,-]*)\])?(?:\.{HOST})?")
_NAME = re.compile(r"[A-Za-z][\w.+-]{0,229}")


class Pbs(Scheduler):
    """An OpenPBS server."""

    def told(self, array: Array, index: int) -> Mapping[str, str]:
        """Return what a job of PBS is told."""
        if array.single:
            return {"PBS_JOBID": f"{array.number}.{HOST}", "PBS_JOBNAME": array.name}
        return {
            "PBS_JOBID": f"{array.number}[{index}].{HOST}",
            "PBS_JOBNAME": array.name,
            "PBS_ARRAY_ID": f"{array.number}[].{HOST}",
            "PBS_ARRAY_INDEX": str(index),
        }

    def answer(self, command: str, arguments: Sequence[str], stdin: str, environment: Mapping[str, str]) -> Answer:
        """Do what a command asks for."""
        del stdin
        if command == "qsub":
            return self._qsub(arguments, environment)
        if command == "qdel":
            return self._qdel(arguments)
        if command == "qselect":
            return self._qselect(arguments)
        if command == "pbsnodes":
            return 0, json.dumps({"nodes": _NODES}, indent="\t"), ""
        return self._qstat(arguments)

    def _qsub(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Answer:
        script = Path(arguments[-1]).read_text()
        words = [word for line in directives(script, "#PBS") for word in shlex.split(line)]
        options = _QSUB.parse_args([*words, *arguments[:-1]])
        size, single, limit = 1, options.J is None, 0
        if options.J is not None:
            match = re.fullmatch(r"(\d+)-(\d+)(?:%(\d+))?", options.J)
            if match is None or int(match[2]) <= int(match[1]):
                return 1, "", "qsub: illegal -J value\n"
            size, limit = int(match[2]) - int(match[1]) + 1, int(match[3] or 0)
            if options.r == "n":
                return 1, "", "qsub: cannot set rerunable to 'n' for an array job\n"
        if size > MAX_ARRAY:
            return 3, "", "qsub: Array job exceeds server or queue size limit\n"
        if options.q not in QUEUES:
            return 170, "", "qsub: Unknown queue\n"
        if not _NAME.fullmatch(options.N):
            return 1, "", "qsub: illegal -N value\n"
        seconds = [float(each.partition("=")[2]) for each in options.l if each.startswith("walltime=")]
        kept = {name: environment[name] for name in ("HOME", "PATH") if name in environment}
        array = Array(
            self.number, options.N, 0, size, script, kept, single, limit, seconds[0] if seconds else 0.0, options.q
        )
        self.submit(array)
        return 0, f"{self._id(array)}\n", ""

    def _id(self, array: Array, index: int | None = None) -> str:
        inside = "" if array.single else f"[{'' if index is None else index}]"
        return f"{array.number}{inside}.{HOST}"

    def _known(self, text: str, history: bool) -> tuple[Array | None, str]:
        match = _ID.fullmatch(text)
        array = self.arrays.get(int(match[1])) if match else None
        if array is None or (array.over and not self.settings.get("history")):
            return None, f"Unknown Job Id {text}"
        if array.over and not history:
            return None, f"{text} Job has finished, use -x or -H to obtain historical job information"
        return array, ""

    def _qdel(self, arguments: Sequence[str]) -> Answer:
        code, errors = 0, ""
        for text in arguments:
            array, problem = self._known(text, history=False)
            if array is None:
                code, errors = 153, f"{errors}qdel: {problem}\n"
                continue
            match = _ID.fullmatch(text)
            inside = match[2] if match else None
            indices = list(array.tasks) if not inside else _indices(inside)
            found = self.cancel(array, indices)
            if inside and not found:
                code, errors = 1, f"{errors}qdel: Request invalid for state of job {text}\n"
        return code, "", errors

    def _qselect(self, arguments: Sequence[str]) -> Answer:
        options = _QSELECT.parse_args(arguments)
        if options.x and not self.settings.get("history"):
            return 170, "", "qselect: PBS is not configured to maintain job history\n"
        found = [each for each in self.arrays.values() if each.name == options.N and (options.x or not each.over)]
        return 0, "".join(f"{self._id(array)}\n" for array in found), ""

    def _qstat(self, arguments: Sequence[str]) -> Answer:
        options, ids = _QSTAT.parse_known_args(arguments)
        if options.version:
            return 0, "pbs_version = 23.06.06\n", ""
        if options.B:
            return 0, _document("Server", {HOST: self._server()}), ""
        if options.Q:
            return 0, _document("Queue", {name: self._queue(name) for name in QUEUES}), ""
        if options.x and not self.settings.get("history"):
            return 170, "", "qstat: PBS is not configured to maintain job history\n"
        jobs, code, errors = {}, 0, ""
        for text in ids:
            array, problem = self._known(text, options.x)
            if array is None:
                code, errors = 35 if "finished" in problem else 153, f"{errors}qstat: {problem}\n"
                continue
            if not array.single:
                jobs[self._id(array)] = {
                    "Job_Name": array.name,
                    "job_state": "F" if array.over else "B",
                    "substate": 70,
                }
            if array.single or options.t:
                jobs |= {self._id(array, index): self._job(array, index, task) for index, task in array.tasks.items()}
        return code, _document("Jobs", jobs) if jobs else "", errors

    def _job(self, array: Array, index: int, task: Task) -> dict[str, Any]:
        values: dict[str, Any] = {"Job_Name": array.name, "Job_Owner": f"me@{HOST}", "queue": array.queue}
        values |= {} if array.single else {"array_id": self._id(array), "array_index": index}
        if task.state != ENDED:
            running = task.state == RUNNING
            comment = "Not Running: Insufficient amount of resource: ncpus"
            return {**values, "job_state": "R" if running else "Q", "comment": "Job run" if running else comment}
        values |= {"job_state": "F" if array.over else "X", "history_timestamp": int(task.ended)}
        if task.status is None:
            return {**values, "substate": 91, "comment": "Not Running: Job deleted"}
        status = _status(task)
        exceeded = "exceeded resource walltime" if task.why == "time" else "failed" if status else "finished"
        return {
            **values,
            "substate": 91 if task.why == "owner" else 93 if status else 92,
            "stime": time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(task.started)),
            "resources_used": {"cput": "00:00:01", "mem": "5952kb", "walltime": "00:00:01"},
            "comment": f"Job run at some time on ({HOST}:ncpus=1) and {exceeded}",
            "Exit_status": status,
        }

    def _server(self) -> dict[str, Any]:
        values = {"server_state": "Active", "default_queue": "workq", "max_array_size": MAX_ARRAY}
        return {**values, **({"job_history_enable": "True"} if self.settings.get("history") else {})}

    def _queue(self, name: str) -> dict[str, Any]:
        running = sum(
            task.state == RUNNING for each in self.arrays.values() if each.queue == name for task in each.tasks.values()
        )
        longest = {"resources_max": {"walltime": "01:00:00"}} if name == "shortq" else {}
        return {
            "queue_type": "Execution",
            "total_jobs": running,
            "resources_assigned": {"ncpus": running},
            "enabled": "True",
            "started": "True" if name == "workq" else "False",
            **longest,
        }


def _status(task: Task) -> int:
    if task.why == "time":
        return -29
    assert task.status is not None
    return 256 - task.status if task.status < 0 else task.status


def _indices(text: str) -> list[int]:
    ends = [part.split("-") for part in text.split(",")]
    return [index for two in ends for index in range(int(two[0]), int(two[-1]) + 1)]


def _document(kind: str, entries: Mapping[str, Any]) -> str:
    values = {"timestamp": int(time.time()), "pbs_version": "23.06.06", "pbs_server": HOST, kind: entries}
    return json.dumps(values, indent="\t").replace('": ', '":\t') + "\n"


_NODES = {
    name: {
        "Mom": name,
        "state": state,
        "resources_available": {"host": name, "ncpus": 4, "mem": "8388608kb"},
        "resources_assigned": {"ncpus": used, "mem": f"{used * 1048576}kb"},
    }
    for name, state, used in (("n1", "free", 1), ("n2", "free", 0))
}


class _Refusing(argparse.ArgumentParser):
    """Knows the options of a command, and no others."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise ValueError(message)


_QSUB = _Refusing(add_help=False)
for _letter in "NJqPAMmojrS":
    _QSUB.add_argument(f"-{_letter}", default={"q": "workq", "N": "STDIN"}.get(_letter))
_QSUB.add_argument("-l", action="append", default=[])
_QSELECT = _Refusing(add_help=False)
for _letter in "Nu":
    _QSELECT.add_argument(f"-{_letter}")
_QSELECT.add_argument("-x", action="store_true")
_QSTAT = _Refusing(add_help=False)
for _letter in "xtfBQ":
    _QSTAT.add_argument(f"-{_letter}", action="store_true")
_QSTAT.add_argument("-F")
_QSTAT.add_argument("--version", action="store_true")
