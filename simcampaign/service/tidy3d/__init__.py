"""The solver as clients of Tidy3D's cloud know it: their protocol over the same tasks."""

from __future__ import annotations

from pathlib import Path

WORKER = Path(__file__).with_name("worker.py")
"""The program that reads and solves tidy3d's simulations, in an environment of tidy3d."""
