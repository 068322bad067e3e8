"""The pulse that a port sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EDGE = 0.1
"""Amplitude of the pulse's spectrum at the ends of the band, relative to its middle."""

NARROWEST = 0.2
"""Least half width of the band, relative to its middle: narrower pulses last long and gain nothing."""

STARTS = 6.0
"""The pulse is at its top after so many standard deviations: it begins below 2·10⁻⁸ of that."""


@dataclass(frozen=True)
class Pulse:
    """A Gaussian times a cosine, or for a wide band the derivative of a Gaussian, which leaves no charge behind."""

    centre: float
    """Frequency of the cosine in Hz; 0 for the derivative."""

    deviation: float
    """Standard deviation of the Gaussian in seconds."""

    @property
    def duration(self) -> float:
        """Seconds until it has died down."""
        return 2 * STARTS * self.deviation

    def at(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return its value, at most 1, at each time."""
        late = seconds - STARTS * self.deviation
        carrier = np.cos(2 * np.pi * self.centre * late) if self.centre else late / self.deviation
        value: NDArray[np.float64] = carrier * np.exp(-((late / self.deviation) ** 2) / 2)
        return value


def choose_pulse(frequencies: Sequence[float]) -> Pulse:
    """Return a pulse whose spectrum covers the frequencies."""
    low, high = min(frequencies), max(frequencies)
    reach = np.sqrt(2 * np.log(1 / EDGE)) / (2 * np.pi)
    if high > 3 * low:
        return Pulse(0.0, float(reach / high))
    centre = (low + high) / 2
    return Pulse(centre, float(reach / max((high - low) / 2, NARROWEST * centre)))
