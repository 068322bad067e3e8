"""Clusters: a scheduler's own arrays, on this host or over ssh."""
