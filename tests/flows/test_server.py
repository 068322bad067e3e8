"""The flow of local campaigns against a real Prefect server: what a person sees, types and presses."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.support import PATIENCE, until

GROUPS = {"groups": {"first": "", "second": ""}}


def conditions(first: str, second: str = "ok") -> list[dict[str, Any]]:
    return [
        {"key": "p", "do": first, "x": 1, "group": "first"},
        {"key": "q", "do": second, "x": 2, "group": "second"},
    ]


def named(place: Any, name: str, **series: Any) -> str:
    """Give the series a name of its own, by which its flow run is found."""
    place.configure(series={"name": name, **series})
    return name


def test_a_partial_campaign_shows_phases_and_failures_and_the_printed_command_completes_it(
    place: Any, api: Any
) -> None:
    name = named(place, "partly", seeds="0-19", conditions=conditions("ok", "once"), **GROUPS)
    done = place.run("toy.yaml")
    assert done.status == 1, done.text
    assert "FAILED partly_q_0000: application, exit code 3\n    | step 1 went well\n    | ERROR the toy" in done.out
    assert "20 of 40 runs done; 20 failed\nSummary: " in done.out
    assert "jobs: first: 20 finished; second: 20 failed" in done.err
    flow_run = api.flow_run(name)
    state = flow_run["state"]
    assert (state["type"], state["name"]) == ("COMPLETED", "PartiallyDone")
    assert state["message"] == "20 of 40 runs done; 20 failed"
    until(lambda: "summarise" in " ".join(api.task_runs(flow_run)))
    kinds = [re.sub(r"(-\w{3}|partly_.*)$", "", task_run) for task_run in api.task_runs(flow_run)]
    assert sorted(kinds) == sorted(
        [
            *("attach to jobs in flight", "plan", "claim", "poll", "save logs", "clean jobs", "summarise"),
            *("save inputs first", "save inputs second", "submit ", "submit "),
        ]
    ), "one task run per phase or array, never per run"
    (table,) = [artifact for artifact in api.artifacts(flow_run) if artifact["type"] == "table"]
    assert (table["key"], table["description"]) == ("jobs-partly", "**40/40** jobs ended, **20 not well**")
    rows = {row["group"]: (row["jobs"], row["finished"], row["failed"]) for row in json.loads(table["data"])}
    assert rows == {"first": (20, 20, 0), "second": (20, 0, 20)}
    (link,) = [artifact for artifact in api.artifacts(flow_run) if artifact["key"] == "summary-partly"]
    assert "SUMMARY.html" in link["data"]
    assert link["description"] == "20 of 40 runs done; 20 failed"

    command = next(line for line in done.out.splitlines() if "run it alone: " in line).partition("alone: ")[2]
    alone = typed(place, f"{command} --json")
    assert alone.returncode == 0, alone.stderr
    outcome = json.loads(alone.stdout)
    assert (outcome["complete"], outcome["submitted"]) == (True, 1)
    assert Path(outcome["summary"]).exists()
    assert place.noted().count("q 0") == 2
    assert len(place.noted()) == 41
    assert api.flow_run(name)["state"]["name"] == "Completed"
    flow_run = api.flow_run(name)

    again = typed(place, command)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("Nothing is left to do")
    assert api.flow_run(name)["id"] == flow_run["id"], "no flow run is needed to say so"


def typed(place: Any, command: str) -> subprocess.CompletedProcess[str]:
    """Run what a person pastes into a shell."""
    shell = ["sh", "-c", command]
    return subprocess.run(shell, cwd=place.root, env=place.environment, capture_output=True, text=True, check=False)


def test_a_flow_that_is_killed_leaves_its_jobs_and_the_next_one_attaches(place: Any, api: Any) -> None:
    name = named(place, "killed", conditions=conditions("ok", "hold"), **GROUPS)
    process = place.start("toy.yaml")
    until(lambda: len(place.noted()) == 5)
    killed = api.flow_run(name)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    second = place.start("toy.yaml", "--json")
    until(lambda: api.flow_run(name)["id"] != killed["id"])
    place.let_go()
    out, err = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, err
    outcome = json.loads(out)
    assert (outcome["counts"], outcome["submitted"]) == ({"done": 6}, 0)
    assert re.search(r"\d in flight\n  Nothing is to be submitted", err)
    assert sorted(place.noted()) == ["p 0", "p 1", "p 2", "q 0", "q 1", "q 2"]
    assert api.flow_run(name)["state"]["name"] == "Completed"


class Terminal:
    """A flow at a terminal of its own, where Ctrl-C can be pressed."""

    def __init__(self, place: Any, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        place.environment.update(TERM="xterm", COLUMNS="120", LINES="40")
        self.process = place.start(*arguments, stdin=slave, stdout=slave, stderr=slave, preexec_fn=os.setsid)
        os.close(slave)
        self.text = ""

    def read(self) -> None:
        """Read what was written meanwhile; colours and cursor movements are left out."""
        while select.select([self.master], [], [], 0.05)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode(errors="replace"))

    def press_ctrl_c(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def await_text(self, *texts: str) -> None:
        deadline = time.monotonic() + 150
        while not all(text in self.text for text in texts):
            self.read()
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text

    def end(self) -> int:
        deadline = time.monotonic() + 60
        while self.process.poll() is None:
            self.read()
            assert time.monotonic() < deadline, self.text
        self.read()
        os.close(self.master)
        return self.process.returncode


def test_ctrl_c_once_leaves_the_jobs_running_and_cancelling_in_prefect_cancels_them(place: Any, api: Any) -> None:
    name = named(place, "pressed", conditions=conditions("ok", "hold"), **GROUPS)
    terminal = Terminal(place, "toy.yaml")
    terminal.await_text("2 running", "3 finished")
    until(lambda: len(place.noted()) == 5)
    lines = {line.split()[0]: line for line in re.split("[\r\n]+", terminal.text) if "0:00:0" in line}
    assert set(lines) == {"first", "second"}, "one line per group"
    assert re.search(r"first .* 3/3 0:00:\d\d 3 finished", lines["first"])
    assert re.search(r"second .* 0/3 0:00:\d\d 1 queued, 2 running", lines["second"])
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    said = " ".join(terminal.text.split())
    assert "Stopped watching; the jobs keep running. Attach again with: " in said
    assert "-m flows.run_local_simulations toy.yaml" in said
    assert "Traceback" not in said
    assert len(place.noted("end")) == 3

    stopped = api.flow_run(name)
    assert stopped["state"]["name"] == "PartiallyDone"
    process = place.start("toy.yaml", stdin=subprocess.DEVNULL)
    until(lambda: api.flow_run(name)["id"] != stopped["id"])
    flow_run = api.flow_run(name)
    until(lambda: "poll" in " ".join(api.task_runs(flow_run)))
    api.post(f"flow_runs/{flow_run['id']}/set_state", state={"type": "CANCELLING"})
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, err
    assert "the jobs that have not ended are terminated" in err
    assert "3 of 6 runs done; 3 missing" in out
    assert sorted(place.noted()) == ["p 0", "p 1", "p 2", "q 0", "q 1"], "attaching started nothing"
    assert {run.split()[0] for run in place.noted("end")} == {"p"}
    assert api.flow_run(name)["state"]["type"] == "CANCELLED"


def test_without_a_server_prefect_starts_its_own_which_outlives_two_ctrl_c_that_cancel_the_jobs(place: Any) -> None:
    place.configure(series={"conditions": conditions("ok", "hold"), **GROUPS})
    terminal = Terminal(place, "toy.yaml")
    terminal.await_text("2 running", "3 finished")
    terminal.press_ctrl_c()
    terminal.await_text("once more")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert "3 of 6 runs done; 3 missing" in terminal.text
    assert {run.split()[0] for run in place.noted("end")} == {"p"}
    assert terminal.text.count("Starting Prefect's own server for this run") == 1
    assert "prefect server start" in terminal.text
    assert "Traceback" not in terminal.text
    assert re.search(r"Summary: .*SUMMARY.html", terminal.text)


def test_a_run_that_took_too_long_is_tried_again_with_twice_the_time(place: Any, api: Any) -> None:
    place.configure(
        context={"timeout": 3, "attempts": 2},
        series={"name": "slow", "seeds": "0", "conditions": conditions("nap:4", "ok")},
    )
    done = place.run("toy.yaml")
    assert done.status == 0, done.text
    assert "2 of 2 runs done" in done.out
    assert sorted(place.noted()) == ["p 0", "p 0", "q 0"]
    assert [run.split()[0] for run in place.noted("end")].count("p") == 1
    assert api.flow_run("slow")["state"]["name"] == "Completed"
