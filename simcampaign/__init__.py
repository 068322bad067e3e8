"""simcampaign: every (condition, seed) of a simulation campaign is run exactly once, wherever there is a place to compute."""

__version__ = "0.1.0"
