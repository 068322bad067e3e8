"""Batch simulation campaigns: every (condition, seed) is simulated exactly once, wherever it can be computed."""

__version__ = "0.1.0"
