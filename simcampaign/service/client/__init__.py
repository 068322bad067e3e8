"""The client of a job manager: ``Client``, and ``AsyncClient`` with the same methods to await."""

from simcampaign.service.client.async_client import AsyncClient
from simcampaign.service.client.records import (
    Array,
    Campaign,
    CampaignMap,
    Event,
    Job,
    Limits,
    Partition,
    QueueStanding,
    Resources,
    Status,
    Submitted,
    SubmittedArray,
)
from simcampaign.service.client.sync_client import Client

__all__ = [
    "Array",
    "AsyncClient",
    "Campaign",
    "CampaignMap",
    "Client",
    "Event",
    "Job",
    "Limits",
    "Partition",
    "QueueStanding",
    "Resources",
    "Status",
    "Submitted",
    "SubmittedArray",
]
