"""The command line ``simcampaign``: the verbs of the API, for a terminal and for scripts."""

from simcampaign.cli.program import main

__all__ = ["main"]
