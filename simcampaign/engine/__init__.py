"""The engine: submit, reconcile, poll, collect. Prefect knows it; it does not know Prefect."""
