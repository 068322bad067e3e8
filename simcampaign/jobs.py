"""Jobs and arrays: what is handed to a site, and what a site says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class JobState(StrEnum):
    """Where a job is. The last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def active(self) -> bool:
        """True while the job may still change."""
        return self in ACTIVE


ACTIVE = frozenset({JobState.QUEUED, JobState.RUNNING})


class Cause(StrEnum):
    """Why a job did not finish."""

    APPLICATION = "application"
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    PREEMPTED = "preempted"
    INFRASTRUCTURE = "infrastructure"
    STAGING = "staging"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class RunRange:
    """Consecutive seeds of one condition: ``start_seed`` to ``end_seed``, both included."""

    condition_key: str
    start_seed: int
    end_seed: int

    @property
    def size(self) -> int:
        """Number of runs in the range."""
        return self.end_seed - self.start_seed + 1


@dataclass(frozen=True, slots=True)
class Resources:
    """What one job needs; all jobs of an array have the same."""

    cpus: float = 1.0
    """Cores of each rank."""

    memory_mb: int | None = None
    """Memory of the whole job in MiB; None for no limit."""

    timeout_seconds: float | None = None
    """Wall time in seconds; None for no limit."""

    ranks: int = 1
    """Processes that share the work, started together, as by ``mpirun``."""

    gpus: int = 0
    """GPUs of the whole job."""

    @property
    def cores(self) -> float:
        """Cores of the whole job."""
        return self.cpus * self.ranks


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One job of an array: one input."""

    index: int
    """Position in the array, 0 to size - 1: what the site knows the job by, what the job is told, and the end of its
    input's name."""

    job_id: str
    """``(array name)_(index)``; the name of its log."""

    input_path: str
    """Where the job finds its input."""

    seeds: str
    """The seeds of its runs as text, e.g. ``0-3``."""

    run: str = ""
    """The key of its run; empty if it has several."""


@dataclass(frozen=True)
class ArraySpec:
    """Many jobs submitted in one call."""

    name: str
    """Deterministic and unique: a site can be asked for the array by it."""

    file_set: str
    """First part of the names of inputs and inits: ``NAME_GROUP``, and a number if it is not the day's first array."""

    working_url: str
    """The dated location, ending in ``/``."""

    output: str
    """Where the model writes its outputs, ending in ``/``."""

    command: tuple[str, ...]
    """Argument list; in each argument ``{input}``, ``{output}``, ``{seeds}``, ``{index}``, ``{job_id}``, ``{model}``,
    ``{image}``, ``{working}`` and ``{python}`` are replaced."""

    jobs: Sequence[JobSpec]
    resources: Resources = field(default_factory=Resources)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Extra environment of every job."""

    model: str = ""
    image: str = ""

    directory: str = ""
    """Where each job is started; the same words in braces are replaced. Empty: where the submitter is, and in a
    container where its image says."""

    options: Mapping[str, object] = field(default_factory=dict)
    """What this array alone asks of its site: fields of the site's own options, e.g. ``{"partition": "long"}``."""


@dataclass(frozen=True, slots=True)
class JobReport:
    """What a site says of one job. Times are seconds since the epoch; None where unknown."""

    index: int
    state: JobState
    cause: Cause | None = None
    exit_code: int | None = None
    started: float | None = None
    ended: float | None = None
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    message: str = ""
    cost: float | None = None
    """What it costs in the user's currency: while it is active at most, then really. None where time is the price."""


@dataclass(frozen=True)
class ArrayReport:
    """What a site says of one array since it was last asked.

    ``cursor`` is opaque: it is stored and handed back at the next look, so that a site reports only what changed.
    ``known`` is False when the site has no record of the array: its active jobs are then lost.
    """

    cursor: str
    changes: Sequence[JobReport] = ()
    known: bool = True

    counts: Mapping[JobState, int] | None = None
    """Jobs per state, from a site that tells numbers sooner than jobs; None if ``changes`` tells everything."""


def job_environment(array: ArraySpec, job: JobSpec, simulation_type: str = "LOCAL") -> dict[str, str]:
    """Return what a job is told through its environment, the same at every site."""
    return {
        **array.environment,
        "SIMULATION_TYPE": simulation_type,
        "BATCH_WORKING_URL": array.working_url,
        "FILE_SET_NAME": array.file_set,
        "AWS_BATCH_JOB_ARRAY_INDEX": str(job.index),
        "JOB_ARRAY_INDEX": str(job.index),
        "SIMCAMPAIGN_INPUT": job.input_path,
        "SIMCAMPAIGN_OUTPUT": array.output,
        "SIMCAMPAIGN_JOB_ID": job.job_id,
        "SIMCAMPAIGN_SEEDS": job.seeds,
    }


def environment_pattern(array: ArraySpec) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environment that all jobs share, and which variables differ and by what: name → placeholder.

    So an array of 10^5 jobs is written down without 10^5 environments. What differs between two jobs that have nothing
    in common differs between any; no real job has a NUL in its texts or a negative index.
    """
    one = JobSpec(-1, "\0job_id", "\0input", "\0seeds")
    other = JobSpec(-2, "\0\0job_id", "\0\0input", "\0\0seeds")
    keys = {one.job_id: "job_id", str(one.index): "index", one.input_path: "input", one.seeds: "seeds"}
    first, second = job_environment(array, one), job_environment(array, other)
    differing = {name: keys[value] for name, value in first.items() if second[name] != value}
    return {name: value for name, value in first.items() if name not in differing}, differing
