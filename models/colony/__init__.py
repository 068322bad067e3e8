"""A small stochastic model of a growing cell colony; run it with ``python -m models.colony INPUT OUTPUT_DIR``."""
