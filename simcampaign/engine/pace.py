"""How often a site is looked at; in seconds."""

SHORTEST_INTERVAL = 1.0
"""Between the first two looks."""

SLICE = 0.5
"""After which a request to stop is noticed."""

REST = 0.1
"""Between news and the next look, so that many short jobs are looked at together."""
