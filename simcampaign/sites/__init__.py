"""Where jobs run: one module per backend."""
