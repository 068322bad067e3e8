"""Prefect flows, one module each: ``python -m flows`` lists them, ``python -m flows.NAME --help`` explains one."""
