"""A Grid Engine of our own: a cell with its master, one host and one queue, on ports of its own."""

from __future__ import annotations

import os
import pwd
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.services.folders import remove_folder
from tests.integration.services.processes import PATIENCE, answers, daemon, free_port

_INSTALL = "Debian: apt-get install gridengine-master gridengine-exec gridengine-client"
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib/gridengine"
_USER = "sgeadmin"
_SHARED = Path("/usr/share/gridengine")
_PARTS = Path("/var/lib/gridengine")

_BOOTSTRAP = """\
admin_user              sgeadmin
default_domain          none
ignore_fqdn             true
spooling_method         berkeleydb
spooling_lib            libspoolb
spooling_params         {folder}/spooldb
binary_path             {folder}/root/bin
qmaster_spool_dir       {folder}/spool/qmaster
security_mode           none
listener_threads        2
worker_threads          2
scheduler_threads       1
jvm_threads             0
"""
_SETTINGS = {
    "load_report_time": "00:00:02",
    "reporting_params": "accounting=true reporting=false flush_time=00:00:01 joblog=false sharelog=00:00:00",
    "min_uid": "0",
    "min_gid": "0",
    "max_aj_tasks": "500",
}
_SCHEDULER = {"schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1", "maxujobs": "0"}
_HOST = {
    "load_scaling": "NONE",
    "complex_values": "NONE",
    "user_lists": "NONE",
    "xuser_lists": "NONE",
    "projects": "NONE",
    "xprojects": "NONE",
    "usage_scaling": "NONE",
    "report_variables": "NONE",
}
_PARALLEL = {
    "pe_name": "smp",
    "slots": "999",
    "user_lists": "NONE",
    "xuser_lists": "NONE",
    "start_proc_args": "NONE",
    "stop_proc_args": "NONE",
    "allocation_rule": "$pe_slots",
    "control_slaves": "FALSE",
    "job_is_first_task": "TRUE",
    "urgency_slots": "min",
    "accounting_summary": "FALSE",
    "qsort_args": "NONE",
}
_NONE = (
    "load_thresholds suspend_thresholds ckpt_list prolog epilog starter_method suspend_method resume_method "
    "terminate_method owner_list user_lists xuser_lists subordinate_list complex_values projects xprojects calendar"
)
_LIMITS = "rt cpu fsize data stack core rss vmem"
_QUEUE = {
    "qname": "main.q",
    "hostlist": "@allhosts",
    "seq_no": "0",
    "nsuspend": "1",
    "suspend_interval": "00:05:00",
    "priority": "0",
    "min_cpu_interval": "00:05:00",
    "processors": "UNDEFINED",
    "qtype": "BATCH INTERACTIVE",
    "pe_list": "smp",
    "rerun": "FALSE",
    "tmpdir": "/tmp",
    "shell": "/bin/sh",
    "shell_start_mode": "posix_compliant",
    "notify": "00:00:60",
    "initial_state": "default",
    **dict.fromkeys(_NONE.split(), "NONE"),
    **{f"{kind}_{limit}": "INFINITY" for kind in "sh" for limit in _LIMITS.split()},
}


class NoGridEngine(Exception):  # noqa: N818 - not being there is no error of ours
    """No Grid Engine can be run here."""


def why_no_grid_engine() -> str:
    """Return why no Grid Engine can be run here; empty if one can."""
    if os.geteuid() != 0:
        return "Grid Engine runs jobs only for root's daemons, and this is not root"
    for program in ("sge_qmaster", "sge_execd", "qsub", "spooldefaults"):
        if shutil.which(program, path=_PATH) is None:
            return f"{program} is not installed ({_INSTALL})"
    if not any(entry.pw_name == _USER for entry in pwd.getpwall()):
        return f"there is no user {_USER} ({_INSTALL})"
    return ""


@dataclass
class GridEngine:
    """A running Grid Engine. Its commands need ``environment``."""

    folder: Path
    ports: tuple[int, int]
    host: str
    stack: ExitStack
    master: ExitStack = field(default_factory=ExitStack)
    process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What the commands must be told."""
        return {
            "SGE_ROOT": str(self.folder / "root"),
            "SGE_CELL": "ci",
            "SGE_CLUSTER_NAME": "ci",
            "SGE_QMASTER_PORT": str(self.ports[0]),
            "SGE_EXECD_PORT": str(self.ports[1]),
        }

    def run(self, *command: str, user: str | None = None, check: bool = True) -> str:
        """Run one of its commands and return what it printed."""
        done = subprocess.run(
            command,
            env={**os.environ, **self.environment, "PATH": _PATH},
            user=user,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def start_master(self) -> None:
        """Start the master, and wait until it answers."""
        environment = {**self.environment, "SGE_ND": "1"}
        program = str(shutil.which("sge_qmaster", path=_PATH))
        up = daemon([program], self.folder / "qmaster.log", lambda: answers(self.ports[0]), environment)
        self.process = self.master.enter_context(up)
        self._until(lambda: bool(self.run("qconf", "-sconf", check=False)))

    def stop_master(self) -> None:
        """End the master at once, as a crash does; jobs go on."""
        if self.process:
            self.process.kill()
        self.master.close()

    def _until(self, is_so: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            if time.monotonic() > deadline:
                raise NoGridEngine(f"Grid Engine does not come up: {(self.folder / 'qmaster.log').read_text()[-2000:]}")
            time.sleep(0.05)

    def write_down(self) -> None:
        """Write the cell's files, and its database, before the master's first start."""
        common = self.folder / "root/ci/common"
        for folder in (common, self.folder / "spool/qmaster/job_scripts", self.folder / "spool/execd"):
            folder.mkdir(parents=True)
        (self.folder / "spooldb").mkdir()
        for part in ("bin", "lib", "util", "utilbin"):
            (self.folder / "root" / part).symlink_to(_PARTS / part)
        (common / "bootstrap").write_text(_BOOTSTRAP.format(folder=self.folder))
        (common / "act_qmaster").write_text(f"{self.host}\n")
        (common / "host_aliases").write_text(f"{self.host} localhost\n")
        gids = random.randrange(100_000, 1_000_000, 1000)  # the host's processes are told apart by these groups
        settings = {**_SETTINGS, "execd_spool_dir": f"{self.folder}/spool/execd", "gid_range": f"{gids}-{gids + 99}"}
        (self.folder / "conf").write_text(_changed((_SHARED / "default-configuration").read_text(), settings))
        for path in (self.folder, *(each for each in self.folder.rglob("*") if not each.is_symlink())):
            shutil.chown(path, _USER)
        defaults = str(shutil.which("spooldefaults", path=_PATH))
        init = [str(_SHARED / "scripts/init_cluster"), f"{self.folder}/root", "ci", f"{self.folder}/spooldb", _USER]
        for command in (init, [defaults, "configuration", f"{self.folder}/conf"], [defaults, "managers", "root"]):
            self.run(*command, user=_USER)

    def configure(self, slots: int) -> None:
        """Tell the running master of its host and its queue, and start the host's daemon."""
        for option in ("-ah", "-as"):
            self.run("qconf", option, self.host, check=False)  # known already, perhaps
        scheduler = _changed(self.run("qconf", "-ssconf"), _SCHEDULER)
        self.run("qconf", "-Msconf", self._file(scheduler))
        self.run("qconf", "-Ahgrp", self._file(_table({"group_name": "@allhosts", "hostlist": self.host})))
        self.run("qconf", "-Ae", self._file(_table({"hostname": self.host, **_HOST})), check=False)
        self.run("qconf", "-Ap", self._file(_table(_PARALLEL)))
        program = str(shutil.which("sge_execd", path=_PATH))
        environment = {**self.environment, "SGE_ND": "1"}
        up = daemon([program], self.folder / "execd.log", lambda: answers(self.ports[1]), environment)
        self.stack.enter_context(up)
        self.run("qconf", "-Aq", self._file(_table({**_QUEUE, "slots": str(slots)})))
        self._until(lambda: re.search(r"main\.q@\S+ .* lx\S+ *$", self.run("qstat", "-f"), re.MULTILINE))

    def _file(self, text: str) -> str:
        path = self.folder / "table"
        path.write_text(text)
        return str(path)


def _table(values: Mapping[str, str]) -> str:
    return "".join(f"{name} {value}\n" for name, value in values.items())


def _changed(text: str, values: Mapping[str, str]) -> str:
    """Return lines of ``name value`` with other values for some names."""
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return _table({**{name: rest[0] if rest else "" for name, *rest in lines}, **values})


@contextmanager
def grid_engine(slots: int = 8) -> Iterator[GridEngine]:
    """Run a Grid Engine while the context lasts. Raises ``NoGridEngine`` if it cannot be run here."""
    if reason := why_no_grid_engine():
        raise NoGridEngine(reason)
    folder = Path(tempfile.mkdtemp(prefix="sge", dir="/tmp"))  # its own user must get there
    folder.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(remove_folder, folder)
        engine = GridEngine(folder, (free_port(), free_port()), socket.gethostname(), stack)
        stack.callback(engine.stop_master)
        try:
            engine.write_down()
            engine.start_master()
            engine.configure(slots)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            raise NoGridEngine(f"Grid Engine does not come up here: {error}") from error
        stack.callback(_end_jobs, engine)
        yield engine


def _end_jobs(engine: GridEngine) -> None:
    """End all jobs: they would go on without their daemons."""
    engine.run("qdel", "-f", "-u", "*", check=False)
    deadline = time.monotonic() + 10
    while engine.run("qstat", "-u", "*", check=False) and time.monotonic() < deadline:
        time.sleep(0.1)
