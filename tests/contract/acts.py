"""What the jobs of the contract do: for a shell where there is one, and as what they are known to leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from simcampaign.jobs import ArraySpec, JobSpec

HOSTILE = 'it\'s "so" $HOME `id` $(id) \\n %s ; & | < > * ? ~ # ! é ∑ \U0001f9ea'
"""Text that breaks whatever is not quoted."""

HOSTILE_ENVIRONMENT = {
    "PLAIN": "1",
    "HOSTILE": HOSTILE,
    "LINES": "first\n  second\t'third'\n\nlast",
    "EMPTY": "",
    "SPACES": "  both ends  ",
    "DASH": "-n -e",
}


@dataclass(frozen=True)
class Act:
    """What one job does."""

    shell: str = ":"
    """For ``sh``, which is given index, input, job id, seeds and the place for notes as $1 to $5."""

    output: bytes | Callable[[ArraySpec, JobSpec, Mapping[str, str]], bytes] = b""
    """What it prints; a function is given the environment, too."""

    code: int = 0
    held: bool = False
    """True if it goes on until the place lets the array go."""

    def printed(self, array: ArraySpec, job: JobSpec, environment: Mapping[str, str]) -> bytes:
        """Return what the job prints."""
        return self.output if isinstance(self.output, bytes) else self.output(array, job, environment)


@dataclass(frozen=True)
class Told(Act):
    """A job that prints its arguments and what its environment says, each in brackets."""

    names: Sequence[str] = field(default_factory=list)

    @classmethod
    def of(cls, names: Sequence[str]) -> Told:
        """Make one that prints these variables."""
        words = " ".join(f'"${{{name}-unset}}"' for name in names)
        shell = f'for each in "$1" "$2" "$3" "$4" {words}; do printf "<%s>" "$each"; done; echo'

        def output(array: ArraySpec, job: JobSpec, environment: Mapping[str, str]) -> bytes:
            said = [str(job.index), job.input_path, job.job_id, job.seeds, *(environment[name] for name in names)]
            return ("".join(f"<{each}>" for each in said) + "\n").encode()

        return cls(shell, output, names=names)


QUIET = Act()
FAILS = Act('echo "before the end"; exit 3', b"before the end\n", code=3)
HELD = Act(
    'echo "waiting"; n=0; until [ -e "$5$NAME.go" ] || [ $n -gt 1200 ]; do n=$((n+1)); sleep 0.05; done',
    b"waiting\n",
    held=True,
)
NAMES_ITSELF = Act('echo "I am $1"', lambda array, job, environment: f"I am {job.index}\n".encode())
HOSTILE_OUTPUT = Act(
    r"printf '\033[31mred\033[0m\r\303\251\377\376\000 %%s\n\n  no end'",
    b"\x1b[31mred\x1b[0m\r\xc3\xa9\xff\xfe\x00 %s\n\n  no end",
)
BOTH_STREAMS = Act("echo out; echo err >&2", b"out\nerr\n")


def script(acts: Sequence[Act], name: str) -> str:
    """Return what ``sh -c`` does: note the start, then act as the index says; the last act is for all others."""
    cases = "".join(f"{index}) {act.shell};;\n" for index, act in enumerate(acts[:-1]))
    return f'NAME={name}\necho "$1" >> "$5$NAME.starts"\ncase "$1" in\n{cases}*) {acts[-1].shell};;\nesac'
