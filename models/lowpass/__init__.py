"""Low-pass filters of parts with tolerances, by ngspice."""
