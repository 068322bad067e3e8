"""Batch simulation campaigns: every (condition, seed) is simulated exactly once, wherever there is a place to compute."""

__version__ = "0.1.0"
