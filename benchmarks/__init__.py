"""Side-by-side measurements: ``python -m benchmarks`` runs all; each prints ratios, none is a timed test."""
