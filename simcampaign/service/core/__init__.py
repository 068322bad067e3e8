"""The heart of the job manager: a queue that survives what kills it, and lanes that lead to the sites."""
