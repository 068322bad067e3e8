"""The solver as clients of Tidy3D's cloud know it: their protocol over the same tasks."""

from __future__ import annotations

from pathlib import Path

ASKER = Path(__file__).with_name("asker.py")
"""The program of a job: it asks that one, where it runs already, and needs it beside it where it does not."""

WORKER = Path(__file__).with_name("worker.py")
"""The program that reads and solves tidy3d's simulations, in an environment of tidy3d."""
