"""The report on the terminal: a bar of the tasks that are over, and what they cost."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from simcampaign.web.watching import ENDS, Info


class Report:
    """Shows tasks from ``with`` to its end. Nothing is shown if it is not verbose."""

    def __init__(self, verbose: bool) -> None:
        self._console = Console(stderr=True, quiet=not verbose)
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self._console, disable=not verbose)
        self._infos: dict[str, Info] = {}
        self._expected, self._done = 0, 0.0

    def __enter__(self) -> Report:
        self._bar.start()
        self._row = self._bar.add_task("solving", total=None)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()
        infos = self._infos.values()
        if infos:
            estimated = sum(each["estimated"] or 0.0 for each in infos)
            real = sum(each["real"] or 0.0 for each in infos)
            self._console.print(f"estimated at most {estimated:.6g} credits, real {real:.6g}", highlight=False)

    def expect(self, count: int) -> None:
        """Hear how many tasks there will be."""
        self._bar.update(self._row, total=count)
        self._expected = count

    def told(self, info: Info) -> None:
        """Hear how a task is now."""
        before = self._infos.get(info["name"])
        self._infos[info["name"]] = info
        self._done += _part(info) - (0.0 if before is None else _part(before))
        self._bar.update(self._row, total=max(self._expected, len(self._infos)), completed=self._done)


def _part(info: Info) -> float:
    """Return which part of a task is done."""
    return 1.0 if info["status"] in ENDS else (info.get("percent") or 0.0) / 100
