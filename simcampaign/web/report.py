"""The report on the terminal: a bar of the tasks that are over, and what they cost."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from simcampaign.web.watching import ENDS, Info


class Report:
    """Shows tasks from ``with`` to its end. Nothing is shown if it is not verbose."""

    def __init__(self, verbose: bool) -> None:
        self._console = Console(stderr=True, quiet=not verbose)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self._console, disable=not verbose)
        self._infos: dict[str, Info] = {}

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

    def told(self, info: Info) -> None:
        """Hear how a task is now."""
        self._infos[info["id"]] = info
        over = sum(each["status"] in ENDS for each in self._infos.values())
        self._bar.update(self._row, total=len(self._infos), completed=over)
