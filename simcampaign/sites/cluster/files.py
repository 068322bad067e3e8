"""The files of an array on a cluster: what its jobs are told, as POSIX shell."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources

from simcampaign.errors import SiteError, shorten
from simcampaign.jobs import ArraySpec, JobSpec, environment_pattern
from simcampaign.sites.cluster.options import ClusterOptions

CHUNK = 64
"""Jobs of an array whose variables lie in one file, so that a job reads some kilobytes and not megabytes."""

_VARIABLES = {
    "index": "$simcampaign_index",
    "job_id": "$simcampaign_job_id",
    "input": "$simcampaign_input",
    "seeds": "$simcampaign_seeds",
}
"""What differs from job to job: placeholder → shell variable."""

_PLACEHOLDER = re.compile(r"\{(input|output|seeds|index|job_id|model|image|working)\}")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODULES = """\
if ! command -v module >/dev/null 2>&1; then
    for simcampaign_file in /etc/profile.d/modules.sh /etc/profile.d/lmod.sh /usr/share/modules/init/sh; do
        [ ! -r "$simcampaign_file" ] || . "$simcampaign_file"
    done
fi
"""


@dataclass(frozen=True, slots=True)
class About:
    """What is to be known of an array for as long as its files are there."""

    size: int
    limit_seconds: float | None

    @classmethod
    def parse(cls, data: bytes, name: str) -> About:
        """Read ``about.json``. Raises ``SiteError`` if it is something else."""
        try:
            fields = json.loads(data)
            return cls(int(fields["size"]), fields["limit_seconds"])
        except (ValueError, KeyError, TypeError) as error:
            raise SiteError(f"the description of array {name} on the cluster cannot be read") from error


def shell_file(name: str) -> str:
    """Return the text of a shell file that lies beside this one."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def array_files(array: ArraySpec, options: ClusterOptions, script: str, where: str) -> Iterator[tuple[str, bytes]]:
    """Yield all files of an array with their paths below its directory.

    ``where`` is where its jobs are started if the array does not say. Raises ``SiteError`` for what no shell can tell
    a job.
    """
    about = About(len(array.jobs), array.resources.timeout_seconds)
    yield "about.json", json.dumps(asdict(about)).encode()
    yield "job.sh", _encode(script)
    yield "task.sh", shell_file("task.sh").encode()
    yield "command.sh", _encode(_command(array, where))
    if options.modules or options.prologue:
        yield "prologue.sh", _encode(_prologue(options))
    for first in range(0, len(array.jobs), CHUNK):
        jobs = [array.jobs[position] for position in range(first, min(first + CHUNK, len(array.jobs)))]
        yield f"jobs/{first // CHUNK}.sh", _encode(_chunk(jobs))


def _encode(text: str) -> bytes:
    if "\0" in text:
        raise SiteError("a null character cannot stand in a command, path or environment of a job")
    return text.encode("utf-8", "surrogateescape")


def _chunk(jobs: Sequence[JobSpec]) -> str:
    lines = ["case $simcampaign_index in"]
    lines += [
        f"{job.index}) simcampaign_job_id={shlex.quote(job.job_id)} simcampaign_input={shlex.quote(job.input_path)} "
        f"simcampaign_seeds={shlex.quote(job.seeds)} ;;"
        for job in jobs
    ]
    return "\n".join([*lines, "*) simcampaign_refuse 'the array has no such job' ;;", "esac\n"])


def _command(array: ArraySpec, where: str) -> str:
    """Return the shell lines that set the environment, the directory and the command of whichever job."""
    same, differing = _environment(array)
    values = {
        "output": array.output,
        "working": array.working_url,
        "model": array.model,
        "image": array.image,
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in same.items()]
    lines += [f'export {name}="{_VARIABLES[key]}"' for name, key in differing.items()]
    lines.append(f"simcampaign_cwd={_word(array.directory or where, values)}")
    lines.append(f"simcampaign_exec() {{ exec {' '.join(_word(argument, values) for argument in array.command)}; }}\n")
    return "\n".join(lines)


def _word(text: str, values: Mapping[str, str]) -> str:
    """Return ``text`` as one word of the shell, with placeholders replaced by values, or by the job's variables."""
    parts, position = list[str](), 0
    literal = ""
    for match in _PLACEHOLDER.finditer(text):
        literal += text[position : match.start()]
        position = match.end()
        if match[1] in values:
            literal += values[match[1]]
            continue
        if literal:
            parts.append(shlex.quote(literal))
        parts.append(f'"{_VARIABLES[match[1]]}"')
        literal = ""
    literal += text[position:]
    if literal or not parts:
        parts.append(shlex.quote(literal))
    return "".join(parts)


def _environment(array: ArraySpec) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environment as ``environment_pattern`` does, with names that a shell can set."""
    same, differing = environment_pattern(array)
    for name in (*same, *differing):
        if not _IDENTIFIER.fullmatch(name):
            raise SiteError(
                f"environment variable {shorten(repr(name))} has a name that a shell cannot set",
                "take letters, digits and _ alone",
            )
    return same, differing


def _prologue(options: ClusterOptions) -> str:
    lines = [_MODULES] if options.modules else []
    for module in options.modules:
        refusal = shlex.quote(f"module {module} cannot be loaded")
        lines.append(f"module load {shlex.quote(module)} || simcampaign_refuse {refusal}\n")
    return "".join([*lines, options.prologue, "\n"])
