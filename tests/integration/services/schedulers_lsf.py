"""What LSF's commands take and print, over ``schedulers_core.py``.

After the documentation of LSF 10.1, and after what an older compatible system was seen to print.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.integration.services.schedulers_core import ENDED, PENDING, Answer, Array, Scheduler, Task, directives

MAX_ARRAY = 100
QUEUES = ("normal", "short")
_SPEC = re.compile(r"([\w.-]+)\[1-(\d+)\](?:%(\d+))?")
_ID = re.compile(r"(\d+)(?:\[([\d,-]+)\])?")
_REASONS = {
    "owner": "TERM_OWNER: job killed by owner",
    "time": "TERM_RUNLIMIT: job killed after reaching LSF run time limit",
    "memory": "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit",
}


class Lsf(Scheduler):
    """An LSF cluster."""

    signals = (signal.SIGINT, signal.SIGTERM)

    def told(self, array: Array, index: int) -> Mapping[str, str]:
        """Return what a job of LSF is told."""
        return {"LSB_JOBID": str(array.number), "LSB_JOBINDEX": str(index), "LSB_JOBNAME": f"{array.name}[{index}]"}

    def answer(self, command: str, arguments: Sequence[str], stdin: str, environment: Mapping[str, str]) -> Answer:
        """Do what a command asks for."""
        if command == "bsub":
            return self._bsub(stdin, environment)
        if command == "bkill":
            return self._bkill(arguments)
        if command == "bjobs":
            return self._bjobs(arguments)
        if command == "lsid":
            return 0, "IBM Spectrum LSF Standard 10.1.0.12, Jun 10 2021\nMy cluster name is ci\n", ""
        if command == "bparams":
            return 0, f"lsb.params configuration at Thu Nov 20\n\tMAX_JOB_ARRAY_SIZE = {MAX_ARRAY}\n", ""
        return 0, _document(command, self._queues() if command == "bqueues" else _HOSTS), ""

    def _bsub(self, script: str, environment: Mapping[str, str]) -> Answer:
        words = [word for line in directives(script, "#BSUB") for word in shlex.split(line)]
        options = _BSUB.parse_args(words)
        match = _SPEC.fullmatch(options.J)
        if match is None:
            return 255, "", f"{options.J}: Bad job name. Job not submitted.\n"
        if int(match[2]) > MAX_ARRAY:
            return 255, "", "Job array index too large. Job not submitted.\n"
        if options.q not in QUEUES:
            return 255, "", f"{options.q}: No such queue. Job not submitted.\n"
        seconds = 60.0 * int(options.W) * self.settings.get("minute", 1.0)
        array = Array(
            self.number,
            match[1],
            1,
            int(match[2]),
            script,
            dict(environment),
            limit=int(match[3] or 0),
            seconds=seconds,
            queue=options.q,
        )
        self.submit(array)
        chosen = "queue" if "-q" in words else "default queue"
        return 0, f"Job <{array.number}> is submitted to {chosen} <{options.q}>.\n", ""

    def _bkill(self, arguments: Sequence[str]) -> Answer:
        code, out, errors = 0, "", ""
        for text in arguments:
            match = _ID.fullmatch(text)
            array = self.arrays.get(int(match[1])) if match else None
            if match is None or array is None:
                code, errors = 255, f"{errors}Job <{text}>: No matching job found\n"
                continue
            if not self.cancel(array, list(array.tasks) if match[2] is None else _indices(match[2])):
                code, errors = 255, f"{errors}Job <{text}>: Job has already finished\n"
            else:
                out += f"Job <{text}> is being terminated\n"
        return code, out, errors

    def _bjobs(self, arguments: Sequence[str]) -> Answer:
        if "-json" in arguments and self.settings.get("old"):
            return 255, "", "bjobs: illegal option -- json\n"
        options, ids = _BJOBS.parse_known_args([each for each in arguments if each != "-json"])
        found: list[Array] = []
        errors: list[str] = []
        if options.J is not None:
            found = [each for each in self.arrays.values() if each.name == options.J]
            errors = [] if found else [options.J]
        for text in ids:
            array = self.arrays.get(int(text))
            found, errors = ([*found, array], errors) if array else (found, [*errors, text])
        lines = [f"Job <{text}> is not found" for text in errors]
        if options.o is not None:
            records = [*self._records(found, options.o.split())]
            records += [{"JOBID": text, "ERROR": line} for text, line in zip(errors, lines, strict=True)]
            return 255 if errors else 0, _document("bjobs", records), ""
        complaints = "".join(f"{line}\n" for line in lines)
        return 255 if errors else 0, self._table(found) if found else "", complaints

    def _records(self, arrays: Sequence[Array], fields: Sequence[str]) -> Iterator[dict[str, str]]:
        for array in arrays:
            for index, task in array.tasks.items():
                code = "" if not task.status else str(task.status if task.status > 0 else 128 - task.status)
                pending = "Job array has reached its running element limit;" if task.state == PENDING else ""
                values = {
                    "jobid": str(array.number),
                    "jobindex": str(index),
                    "stat": _stat(task),
                    "exit_code": code,
                    "exit_reason": _REASONS.get(task.why, "") if task.state == ENDED else "",
                    "pend_reason": pending,
                    "max_mem": "8 Mbytes" if task.status is not None else "",
                    "cpu_used": "0.03 second(s)" if task.status is not None else "",
                }
                yield {name.upper(): values[name] for name in fields}

    def _table(self, arrays: Sequence[Array]) -> str:
        lines = ["JOBID   USER    STAT  QUEUE      FROM_HOST   EXEC_HOST   JOB_NAME   SUBMIT_TIME"]
        for array in arrays:
            for index, task in array.tasks.items():
                host = "lsfhost" if task.started else ""
                name = f"{array.name}[{index}]"
                stamp = time.strftime("%b %d %H:%M", time.gmtime(task.started))
                lines.append(
                    f"{array.number:<7} me      {_stat(task):<5} normal     lsfhost     {host:<11} {name:<10} {stamp}"
                )
        return "\n".join(lines) + "\n"

    def _queues(self) -> list[dict[str, str]]:
        states = {"normal": "Open:Active", "short": "Closed:Active"}
        hosts = {"normal": "all", "short": "h2"}
        return [
            {"QUEUE_NAME": name, "STATUS": states[name], "MAX": "-", "HOSTS": hosts[name], "RUN": "0"}
            for name in QUEUES
        ]


def _stat(task: Task) -> str:
    if task.state != ENDED:
        return "PEND" if task.state == PENDING else "RUN"
    return "DONE" if task.status == 0 and not task.why else "EXIT"


def _indices(text: str) -> list[int]:
    ends = [part.split("-") for part in text.split(",")]
    return [index for two in ends for index in range(int(two[0]), int(two[-1]) + 1)]


def _document(command: str, records: Sequence[Mapping[str, Any]]) -> str:
    names = {"bjobs": "JOBS", "bqueues": "QUEUES", "bhosts": "HOSTS"}
    return json.dumps({"COMMAND": command, names[command]: len(records), "RECORDS": list(records)}, indent=2) + "\n"


_HOSTS = [{"HOST_NAME": name, "STATUS": "ok", "MAX": "8", "RUN": used} for name, used in (("h1", "3"), ("h2", "0"))]


class _Refusing(argparse.ArgumentParser):
    """Knows the options of a command, and no others."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise ValueError(message)


_BSUB = _Refusing(add_help=False)
for _option in ("-J", "-n", "-M", "-W", "-gpu", "-q", "-P", "-u", "-o", "-cwd"):
    _BSUB.add_argument(_option, default={"-q": "normal", "-W": "0"}.get(_option))
_BSUB.add_argument("-R", action="append")
for _option in ("-x", "-B", "-N", "-rn"):
    _BSUB.add_argument(_option, action="store_true")
_BJOBS = _Refusing(add_help=False)
for _option in ("-a", "-w"):
    _BJOBS.add_argument(_option, action="store_true")
for _option in ("-o", "-J"):
    _BJOBS.add_argument(_option)
