"""Prefect tasks: the steps that flows are made of. Each is one phase or one array, never one run."""
