"""AWS Batch: containers as job arrays, with files in S3 and logs in CloudWatch. Needs the extra ``aws``."""

from simcampaign.sites.batch.options import BatchOptions
from simcampaign.sites.batch.site import BatchSite

__all__ = ["BatchOptions", "BatchSite"]
