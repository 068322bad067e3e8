"""A Slurm cluster of our own: several virtual nodes on this host, with or without the accounting database."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.services.processes import PATIENCE, daemon, free_port

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo", "scontrol")
_DATABASE = ("mariadbd", "mariadb-install-db", "mariadb", "slurmdbd", "sacctmgr")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin"

_CONFIG = """\
ClusterName=ci
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/{gather}
TaskPlugin=task/{task}
JobAcctGatherType=jobacct_gather/{account}
JobAcctGatherFrequency=task=1
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters={select}
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,batch_sched_delay=0,default_queue_depth=1000,\
bf_max_job_test=1000,bf_continue
MaxArraySize={max_array_size}
MaxJobCount=50000
MinJobAge={remembers}
SlurmctldTimeout=60
SlurmdTimeout=60
InactiveLimit=0
KillWait=10
MessageTimeout=5
JobCompType=jobcomp/none
NodeName={nodes} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports} CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=ALL MaxTime=00:05:00 State=UP
"""
_ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={port}
AccountingStoragePass={folder}/munge.sock
"""
_CGROUP = """\
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
ConstrainRAMSpace=yes
ConstrainSwapSpace=yes
"""
_DBD = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser={user}
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
"""
_SQL = (
    "create database slurm_acct_db; create user slurm@'127.0.0.1' identified by 'slurm'; "
    "create user slurm@localhost identified by 'slurm'; grant all on slurm_acct_db.* to slurm@'127.0.0.1'; "
    "grant all on slurm_acct_db.* to slurm@localhost;"
)


class NoSlurm(Exception):  # noqa: N818 - not being there is no error of ours
    """No Slurm cluster can be run here."""


def why_no_slurm(accounting: bool = False) -> str:
    """Return why no cluster can be run here; empty if one can."""
    for program in (*_PROGRAMS, *(_DATABASE if accounting else ())):
        if _program(program) is None:
            packages = "slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge"
            return f"{program} is not installed (Debian: apt-get install {packages} slurmdbd mariadb-server)"
    return ""


def _program(name: str) -> str | None:
    return shutil.which(name, path=_PATH)


@dataclass
class SlurmCluster:
    """A running cluster. Its commands need ``environment``."""

    folder: Path
    nodes: int
    stack: ExitStack
    controller: ExitStack = field(default_factory=ExitStack)
    slurmds: dict[int, ExitStack] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What the cluster's commands must be told."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": _PATH}

    def run(self, *command: str) -> str:
        """Run one of Slurm's commands and return what it printed."""
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def start_controller(self) -> None:
        """Start slurmctld, and wait until it answers."""
        command = [_program("slurmctld") or "", "-D"]
        self.controller.enter_context(
            daemon(command, self.folder / "slurmctld.out", lambda: self._answers("scontrol", "ping"), self.environment)
        )

    def stop_controller(self) -> None:
        """End slurmctld; jobs go on."""
        self.controller.close()

    def start_node(self, number: int) -> None:
        """Start the slurmd of a node."""
        command = [_program("slurmd") or "", "-D", "-N", f"n{number}"]
        stack = self.slurmds[number] = ExitStack()
        stack.enter_context(daemon(command, self.folder / f"slurmd{number}.out", lambda: True, self.environment))

    def stop_node(self, number: int) -> None:
        """End the slurmd of a node."""
        self.slurmds.pop(number).close()

    def await_nodes(self) -> None:
        """Wait until all nodes take jobs."""
        deadline = time.monotonic() + PATIENCE
        while len(self.run("sinfo", "-h", "-N", "-p", "main", "-t", "idle", "-o", "%N").split()) < self.nodes:
            if time.monotonic() > deadline:
                raise NoSlurm(f"nodes do not come up: {self.run('sinfo')}")
            time.sleep(0.1)

    def _answers(self, *command: str) -> bool:
        try:
            return "DOWN" not in self.run(*command)
        except (RuntimeError, subprocess.TimeoutExpired):
            return False

    def stop(self) -> None:
        """End all that was started."""
        for stack in self.slurmds.values():
            stack.close()
        self.controller.close()
        self.stack.close()


@contextmanager
def slurm_cluster(
    *,
    nodes: int = 3,
    cpus: int = 4,
    accounting: bool = False,
    cgroups: bool = False,
    max_array_size: int = 10001,
    remembers: int = 300,
) -> Iterator[SlurmCluster]:
    """Run a cluster while the context lasts. Raises ``NoSlurm`` if none can be run.

    ``remembers`` is for how many seconds the controller knows ended jobs; ``cgroups`` has memory limits enforced.
    """
    if reason := why_no_slurm(accounting):
        raise NoSlurm(reason)
    if cgroups and (os.geteuid() != 0 or not Path("/sys/fs/cgroup/memory").is_dir()):
        raise NoSlurm("memory limits need root and control groups of version 1")
    folder = Path(tempfile.mkdtemp(prefix="slurm", dir="/tmp"))  # a socket's path must be short
    folder.chmod(0o755)
    cluster = SlurmCluster(folder, nodes, ExitStack())
    try:
        _configure(cluster, cpus, cgroups, max_array_size, remembers)
        _start_munge(cluster)
        if accounting:
            _start_accounting(cluster)
        cluster.start_controller()
        for number in range(1, nodes + 1):
            cluster.start_node(number)
        cluster.await_nodes()
        yield cluster
    except RuntimeError as error:
        raise NoSlurm(str(error)) from error
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _configure(cluster: SlurmCluster, cpus: int, cgroups: bool, max_array_size: int, remembers: int) -> None:
    folder = cluster.folder
    (folder / "state").mkdir()
    values = {
        "host": socket.gethostname().partition(".")[0],
        "user": getpass.getuser(),
        "folder": folder,
        "controller_port": free_port(),
        "cpus": cpus,
        "max_array_size": max_array_size,
        "remembers": remembers,
        "nodes": f"n[1-{cluster.nodes}]",
        "ports": _ports(cluster.nodes),
        "gather": "cgroup" if cgroups else "linuxproc",
        "account": "cgroup" if cgroups else "linux",
        "task": "cgroup" if cgroups else "none",
        "select": "CR_CPU_Memory" if cgroups else "CR_CPU",
    }
    (folder / "slurm.conf").write_text(_CONFIG.format(**values))
    if cgroups:
        (folder / "cgroup.conf").write_text(_CGROUP)


def _ports(count: int) -> str:
    """Return ``[FIRST-LAST]`` of ports in a row on which nobody listens."""
    for _ in range(100):
        first = 20000 + secrets.randbelow(30000)
        try:
            for port in range(first, first + count):
                with socket.socket() as free:
                    free.bind(("127.0.0.1", port))
        except OSError:
            continue
        return f"[{first}-{first + count - 1}]"
    raise NoSlurm("there are no free ports in a row")


def _start_munge(cluster: SlurmCluster) -> None:
    folder = cluster.folder
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    places = [f"--{word}-file={folder}/munge.{word}" for word in ("pid", "log", "seed", "key")]
    socket_file = folder / "munge.sock"
    command = [
        _program("munged") or "",
        "--foreground",
        "--force",
        f"--socket={socket_file}",
        f"--key-file={key}",
        *places,
    ]
    cluster.stack.enter_context(daemon(command, folder / "munged.out", socket_file.exists))


def _start_accounting(cluster: SlurmCluster) -> None:
    folder, port, sql_port = cluster.folder, free_port(), free_port()
    data, sql_socket = folder / "mysql", folder / "my.sock"
    as_root = ["--user=root"] if os.geteuid() == 0 else []
    install = [_program("mariadb-install-db") or "", "--no-defaults", *as_root, f"--datadir={data}", "--skip-test-db"]
    subprocess.run(
        [*install, "--auth-root-authentication-method=socket", f"--auth-root-socket-user={getpass.getuser()}"],
        check=True,
        capture_output=True,
    )
    serve = [_program("mariadbd") or "", "--no-defaults", *as_root, f"--datadir={data}", f"--socket={sql_socket}"]
    limits = ["--bind-address=127.0.0.1", "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0"]
    client = [_program("mariadb") or "", "--no-defaults", "-S", str(sql_socket), "-e"]
    cluster.stack.enter_context(
        daemon(
            [*serve, f"--port={sql_port}", f"--pid-file={folder}/my.pid", *limits],
            folder / "mariadb.out",
            lambda: _succeeds([*client, "select 1"]),
        )
    )
    subprocess.run([*client, _SQL], check=True, capture_output=True)
    values = {"folder": folder, "port": port, "sql_port": sql_port, "user": getpass.getuser()}
    config = folder / "slurmdbd.conf"
    config.write_text(_DBD.format(**values))
    config.chmod(0o600)
    with (folder / "slurm.conf").open("a") as file:
        file.write(_ACCOUNTING.format(**values))
    command = [_program("slurmdbd") or "", "-D"]
    ask = ["sacctmgr", "-n", "-i", "show", "cluster"]
    cluster.stack.enter_context(
        daemon(command, folder / "slurmdbd.out", lambda: _succeeds(ask, cluster.environment), cluster.environment)
    )
    if "ci" not in cluster.run(*ask):
        cluster.run("sacctmgr", "-i", "-Q", "add", "cluster", "ci")


def _succeeds(command: Sequence[str], environment: dict[str, str] | None = None) -> bool:
    done = subprocess.run(command, env={**os.environ, **(environment or {})}, capture_output=True, check=False)
    return done.returncode == 0
