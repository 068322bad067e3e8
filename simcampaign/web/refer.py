"""References: what a task computes, in the place of data of another simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simcampaign.solver import Reference


@dataclass(frozen=True, slots=True)
class Ref:
    """The result of a task, wherever it is: ``ref["temperature"]`` stands for what it calls so."""

    task_id: str

    def __getitem__(self, name: str) -> Reference:
        from simcampaign import solver  # noqa: PLC0415 - heavy

        return solver.Reference(task_id=self.task_id, name=name)


def ref(task_id: str) -> Ref:
    """Return what stands for the result of a task in another simulation.

    The service passes the data on and starts the other once this one is solved; they do not come here.
    """
    return Ref(task_id)
