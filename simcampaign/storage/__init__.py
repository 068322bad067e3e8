"""Locations: the only door to the files of a directory or of a bucket."""

from simcampaign.storage.location import Location

__all__ = ["Location"]
