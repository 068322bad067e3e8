"""The job manager inside a Python program, with the names that users of PyEDB's job manager know."""
