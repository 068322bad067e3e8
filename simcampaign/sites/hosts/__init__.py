"""Hosts: machines on which commands are run and files are kept, this one or one that is reached by SSH."""
