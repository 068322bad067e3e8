"""What jobs cost at sites that tell it themselves: while they are active at most, then really."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from simcampaign.jobs import JobReport
from simcampaign.ledger.schema import ArrayState, arrays, jobs, metadata

job_costs = sa.Table(
    "job_costs",
    metadata,
    sa.Column("array_id", sa.Integer, primary_key=True),
    sa.Column("index", sa.Integer, primary_key=True),
    sa.Column("cost", sa.Float, nullable=False),
)

_OLD = sa.delete(job_costs).where(
    job_costs.c.array_id == sa.bindparam("of_array"), job_costs.c.index == sa.bindparam("of_job")
)


def record(connection: sa.Connection, array_id: int, reports: Sequence[JobReport]) -> None:
    """Write down what jobs cost, of those that say so."""
    told = [each for each in reports if each.cost is not None]
    if told:
        connection.execute(_OLD, [{"of_array": array_id, "of_job": each.index} for each in told])
        rows = [{"array_id": array_id, "index": each.index, "cost": each.cost} for each in told]
        connection.execute(sa.insert(job_costs), rows)


def total(connection: sa.Connection, campaign_id: int, *, states: Sequence[str]) -> float:
    """Return what the jobs of a campaign that are in these states cost together."""
    query = (
        sa.select(sa.func.coalesce(sa.func.sum(job_costs.c.cost), 0.0))
        .join(jobs, (jobs.c.array_id == job_costs.c.array_id) & (jobs.c.index == job_costs.c.index))
        .join(arrays, arrays.c.id == job_costs.c.array_id)
        .where(arrays.c.campaign_id == campaign_id, arrays.c.state != ArrayState.ABANDONED, jobs.c.state.in_(states))
    )
    return float(connection.execute(query).scalar_one())
