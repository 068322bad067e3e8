"""The ledger: the record of every intent, submission, state change and cost. The only door to SQL."""

from simcampaign.ledger.ledger import ArrayRow, Claimed, Failure, Intent, Ledger, default_url

__all__ = ["ArrayRow", "Claimed", "Failure", "Intent", "Ledger", "default_url"]
