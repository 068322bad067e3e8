"""The ledger: the record of every intent, submission, state change and cost. The only door to SQL."""

from simcampaign.ledger.ledger import LEASE_SECONDS, Ledger, default_url, ledger_exists
from simcampaign.ledger.rows import ArrayRow, Claimed, Failure, Intent, RangeEntry, Usage, job_id
from simcampaign.ledger.schema import ArrayState

__all__ = [
    "LEASE_SECONDS",
    "ArrayRow",
    "ArrayState",
    "Claimed",
    "Failure",
    "Intent",
    "Ledger",
    "RangeEntry",
    "Usage",
    "default_url",
    "job_id",
    "ledger_exists",
]
