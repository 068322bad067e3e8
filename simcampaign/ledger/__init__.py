"""The ledger: the record of every intent, submission, state change and cost. The only door to SQL."""

# Modules that hold tables are all imported here: whoever opens a ledger makes those that it lacks.
from simcampaign.ledger import jobcosts, solvercallbacks, solvertasks, tidy3dtasks  # noqa: F401
from simcampaign.ledger.intents import LEASE_SECONDS
from simcampaign.ledger.ledger import Ledger, default_url, ledger_exists
from simcampaign.ledger.requestrows import Filter, JobRow, NewPart, NewRequest, PartRow, RequestRow
from simcampaign.ledger.requests import ARCHIVE, MEMBER, Requests, job_name
from simcampaign.ledger.rows import ArrayRow, Claimed, Failure, Intent, RangeEntry, RunRow, Usage, job_id
from simcampaign.ledger.schema import ArrayState

__all__ = [
    "ARCHIVE",
    "LEASE_SECONDS",
    "MEMBER",
    "ArrayRow",
    "ArrayState",
    "Claimed",
    "Failure",
    "Filter",
    "Intent",
    "JobRow",
    "Ledger",
    "NewPart",
    "NewRequest",
    "PartRow",
    "RangeEntry",
    "RequestRow",
    "Requests",
    "RunRow",
    "Usage",
    "default_url",
    "job_id",
    "job_name",
    "ledger_exists",
]
