"""The verbs: what each is for, what it takes, and which function does it. Nothing here imports what does it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from simcampaign.cli.values import count, pair, positive, seconds, since


@dataclass(frozen=True)
class Verb:
    """One verb of the command line."""

    name: str
    about: str
    """What it does, in one line that starts with a small letter."""

    handler: str
    """``module:function``; the function takes the parsed arguments and returns the exit status."""

    examples: str
    arguments: Callable[[argparse.ArgumentParser], None] | None = None
    more: str = ""
    below: tuple[Verb, ...] = ()


def _submission(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="input file; of several each is a job of one array")
    parser.add_argument("--site", default="local", metavar="NAME", help="where it runs (default: local)")
    parser.add_argument("--name", metavar="NAME", help="name of the job, to find it again by (default: made up)")
    parser.add_argument("--group", metavar="GROUP", default="", help="group that the job belongs to")
    parser.add_argument("--ranks", type=count, metavar="N", help="processes that share the work, started by mpirun")
    parser.add_argument("--cpus", type=positive, metavar="N", help="cores of each rank")
    parser.add_argument("--gpus", type=count, metavar="N", help="GPUs of each job")
    parser.add_argument("--memory-mb", type=count, metavar="MIB", help="memory of each job in MiB")
    parser.add_argument("--wall-time", type=seconds, metavar="TIME", help="longest time of a job: 90, 30m, 12h, 2d")
    parser.add_argument(
        "--env", type=pair, action="append", default=[], metavar="NAME=VALUE", help="environment; may be repeated"
    )
    parser.add_argument(
        "--option",
        type=pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the site for this job alone, e.g. partition=long; may be repeated",
    )
    parser.set_defaults(command=[])


def _run(parser: argparse.ArgumentParser) -> None:
    _submission(parser)
    parser.add_argument("--to", required=True, metavar="FOLDER", help="folder for the outputs")
    parser.add_argument("--overwrite", action="store_true", help="replace what is in the folder")


def _names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME", help="name of a job or of an array")
    _at_site(parser)


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of a job or of an array")
    _at_site(parser)


def _at_site(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site", metavar="NAME", help="the site, if several have a job of this name")


def _jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site", metavar="NAME", help="only jobs of this site")
    parser.add_argument("--status", metavar="STATUS", help="only jobs that are queued, running, finished, failed, …")
    parser.add_argument("--group", metavar="GROUP", help="only jobs of this group")
    parser.add_argument("--since", type=since, metavar="WHEN", help="only younger jobs: 90m, 12h, 2d or a date")
    parser.add_argument("--limit", type=count, default=50, metavar="N", help="at most so many, newest first (50)")


def _wait(parser: argparse.ArgumentParser) -> None:
    _names(parser)
    parser.add_argument("--timeout", type=seconds, metavar="TIME", help="give up waiting after 90, 30m, 12h, 2d")


def _logs(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the job has ended")


def _copy(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("destination", metavar="FOLDER", help="folder for the outputs")


def _retry(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("--memory-mb", type=count, metavar="MIB", help="memory of each job this time")
    parser.add_argument("--wall-time", type=seconds, metavar="TIME", help="longest time of each job this time")


def _delete(parser: argparse.ArgumentParser) -> None:
    _names(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _site(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("site", metavar="SITE", help="name of the site; see: simcampaign sites")


def _add_site(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("site", nargs="?", metavar="NAME", help="name of the new site")
    parser.add_argument("--backend", metavar="BACKEND", help="what it is: slurm, ssh, docker, …")
    parser.add_argument(
        "--set",
        type=pair,
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="a field of its table, e.g. partition=main or environment.OMP_NUM_THREADS=1; may be repeated",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask; write it if the doctor finds nothing bad")
    parser.add_argument("--unchecked", action="store_true", help="write it without asking the doctor")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} must be a port, 0 to 65535")
    return int(text)


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="ADDRESS", help="address to listen at (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, metavar="PORT", help="port to listen at, 0 for any (default: 8080)")
    parser.add_argument("--token-file", metavar="FILE", help="file with a token that every client must show")
    parser.add_argument("--ledger", metavar="URL", help="database of the queue (default: the user's ledger)")
    parser.add_argument("--allow-commands", action="store_true", help="let clients run commands of their choice")
    parser.add_argument("--solver", action="store_true", help="solve simulations that clients upload")
    parser.add_argument("--tidy3d", action="store_true", help="the same for clients of Tidy3D's cloud, as they are")
    parser.add_argument("--config", metavar="FILE", help="settings (default: service.toml beside sites.toml)")


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} must start with http:// or https://")
    return text


def _projects(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", help="folder with .aedt files and .aedb folders")
    parser.add_argument("--recursive", action="store_true", help="look into folders below, too")
    parser.add_argument("--cores", type=count, default=1, metavar="N", help="cores of each job (default: 1)")
    parser.add_argument(
        "--url",
        type=_url,
        default="http://127.0.0.1:8080",
        metavar="URL",
        help="the job manager (default: http://127.0.0.1:8080)",
    )
    parser.add_argument("--token-file", metavar="FILE", help="file with the token that the job manager wants")


JOBS, ENDING, RUNNING, FILES = (f"simcampaign.cli.{module}" for module in ("jobs", "ending", "running", "files"))
SITES, CHANGING = "simcampaign.cli.sites", "simcampaign.cli.changing"

VERBS: tuple[Verb, ...] = (
    Verb(
        "run",
        "run input files or a command, wait, and fetch the outputs",
        f"{RUNNING}:run",
        """  simcampaign run melt.in --to out
  simcampaign run melt.in --to out --site hpc --ranks 16 --wall-time 2h --memory-mb 8000
  simcampaign run a.in b.in c.in --to out                 outputs in out/job_0000, out/job_0001, …
  simcampaign run model.py --to out -- python model.py --seed 3""",
        _run,
        """How an input file is started, the site says (`executable`). After -- comes a command of
your own; the inputs are then files that it finds where it is started. What lies at the
site is deleted once the outputs are here.""",
    ),
    Verb(
        "submit",
        "hand input files or a command to a site and return at once",
        f"{RUNNING}:submit",
        """  simcampaign submit melt.in --site hpc --ranks 16 --name melt-1
  simcampaign submit runs/*.in --site hpc --group melting
  simcampaign submit model.py --site lab -- python model.py --seed 3""",
        _submission,
        "Prints the name to find it again by, in this and in any other process.",
    ),
    Verb(
        "jobs",
        "list jobs, newest first",
        f"{JOBS}:list_jobs",
        """  simcampaign jobs
  simcampaign jobs --site hpc --status failed --since 2d
  simcampaign jobs --group melting --json | jq '.jobs[].job_name'""",
        _jobs,
        "States are those that were seen last.",
    ),
    Verb(
        "status",
        "ask the site for the state of jobs",
        f"{JOBS}:status",
        """  simcampaign status melt-1
  simcampaign status melt-1 melt-2 --json""",
        _names,
        "Exits with 0 if all of them have finished, else with 1.",
    ),
    Verb(
        "wait",
        "wait until jobs have ended",
        f"{JOBS}:wait",
        """  simcampaign wait melt-1
  simcampaign wait melt-1 melt-2 --timeout 30m""",
        _wait,
        "Exits with 0 if all of them finished, else with 1.",
    ),
    Verb(
        "logs",
        "print what a job printed",
        f"{FILES}:logs",
        """  simcampaign logs melt-1
  simcampaign logs -f melt-1""",
        _logs,
        "Of an array each job's lines come with its name before them.",
    ),
    Verb(
        "copy",
        "fetch the outputs of a job or an array",
        f"{FILES}:copy",
        """  simcampaign copy melt-1 out
  simcampaign copy melt-1 out --json | jq -r '.files[].path'""",
        _copy,
        "Those of an array go to job_0000, job_0001, …",
    ),
    Verb(
        "cancel",
        "end jobs that have not ended",
        f"{ENDING}:cancel",
        """  simcampaign cancel melt-1""",
        _names,
    ),
    Verb(
        "retry",
        "submit jobs that failed once more",
        f"{ENDING}:retry",
        """  simcampaign retry melting
  simcampaign retry melt-1 --wall-time 4h""",
        _retry,
        """Those that lacked memory or time get twice as much, or what is given here.
Those that finished are left alone.""",
    ),
    Verb(
        "delete",
        "delete what jobs left at their site, and archive them",
        f"{ENDING}:delete",
        """  simcampaign delete melt-1
  simcampaign delete melt-1 melt-2 --yes""",
        _delete,
        "Says what it will delete and asks.\nWhat was fetched stays.",
    ),
    Verb(
        "sites",
        "list the sites, or change the file of sites",
        f"{SITES}:list_sites",
        """  simcampaign sites
  simcampaign sites add
  simcampaign sites show hpc""",
        below=(
            Verb(
                "add",
                "add a site to the file: asks, tests, then writes",
                f"{CHANGING}:add",
                """  simcampaign sites add
  simcampaign sites add hpc --backend slurm --set host=login.example.org --set partition=main
  simcampaign sites add box --backend ssh --set host=box --set "executable=lmp -in {input}" --yes""",
                _add_site,
                "What is in the file stays as it is.",
            ),
            Verb(
                "show",
                "show all that is set for a site, defaults included",
                f"{SITES}:show_site",
                "  simcampaign sites show hpc",
                _site,
            ),
            Verb(
                "remove",
                "take a site out of the file",
                f"{CHANGING}:remove",
                "  simcampaign sites remove hpc",
                _site,
                "Its jobs and files stay where they are.",
            ),
        ),
    ),
    Verb(
        "queues",
        "list the partitions or queues of a site, with what they have and use",
        f"{SITES}:list_queues",
        """  simcampaign queues hpc
  simcampaign queues hpc --json | jq '.queues[] | select(.default)'""",
        _site,
    ),
    Verb(
        "doctor",
        "look whether jobs can run at a site: reachable, may submit, scratch, versions, limits",
        f"{SITES}:examine",
        """  simcampaign doctor hpc
  simcampaign doctor hpc --json""",
        _site,
        "✓ is fine, ✗ will make jobs fail, · is worth knowing.",
    ),
    Verb(
        "serve",
        "run a job manager: a queue that many clients share, with a web page",
        "simcampaign.cli.serve:serve",
        """  simcampaign serve
  simcampaign serve --port 9000 --allow-commands
  simcampaign serve --host 0.0.0.0 --token-file token""",
        _serve,
        """Listens at this host's own address; any other needs a token. Ends with Ctrl-C or TERM: jobs
that run go on, and the next `serve` finds them. Clients choose no programs, unless
--allow-commands, or applications in service.toml, let them.""",
    ),
    Verb(
        "submit-projects",
        "submit every HFSS project of a folder to a job manager",
        "simcampaign.cli.projects:submit_projects",
        """  simcampaign submit-projects boards
  simcampaign submit-projects boards --recursive --cores 8 --url https://jobs.example.org --token-file token""",
        _projects,
        """Prints the id and the project of each job. Of an .aedt and an .aedb of the same name the
.aedt is submitted. Exits with 1 if any project is refused; the others are submitted.""",
    ),
)
