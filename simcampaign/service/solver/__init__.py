"""The solver: simulations that clients upload are validated, quoted, solved at a site, and their results kept."""
