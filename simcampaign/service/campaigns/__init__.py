"""Campaigns in the job manager: what clients may ask for, and the thread that keeps them going."""
