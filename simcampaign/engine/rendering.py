"""Rendering inputs, and recognising outputs of an input that has changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property

from simcampaign.chains import Taking
from simcampaign.engine.campaign import Campaign
from simcampaign.errors import ConflictError
from simcampaign.jobs import RunRange
from simcampaign.ledger import RangeEntry
from simcampaign.packing import Packing
from simcampaign.plan import Plan, digest_of
from simcampaign.templates import context, digest


class Renderer:
    """Renders the inputs of one campaign; a text is never kept, so that a million inputs need no memory."""

    def __init__(self, campaign: Campaign) -> None:
        """Render with the campaign's template and conditions."""
        self._campaign = campaign

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """What each condition's inputs are made from: the template's source and the condition's variables."""
        source = self._campaign.template.digest
        return {
            key: digest_of(source, json.dumps(condition, sort_keys=True, default=str))
            for key, condition in self._campaign.conditions.items()
        }

    def text(self, group: str, ranges: Sequence[RunRange]) -> str:
        """Render the input of these ranges.

        Raises ``TemplateError``; ``ConflictError`` if it takes a file of another series that is not there.
        """
        text, missing = self._render(group, ranges)
        if missing:
            raise ConflictError(f"{missing[0]}: this file of another series is gone", "run the flow again")
        return text

    def rendering(self, group: str, condition_key: str, seed: int) -> str:
        """Return the digest of the input that one run alone would have."""
        return digest(self._render(group, [RunRange(condition_key, seed, seed)])[0])

    def lacks(self, group: str, condition_key: str, seed: int) -> list[str]:
        """Return the files of other series that a run takes and that are not there. Raises ``TemplateError``."""
        return self._render(group, [RunRange(condition_key, seed, seed)])[1]

    def _render(self, group: str, ranges: Sequence[RunRange]) -> tuple[str, list[str]]:
        """Return the text, and the files of other series that it takes and that are not there."""
        campaign = self._campaign
        taking = Taking(campaign.outputs) if campaign.series.after else None
        shown = context(campaign.series.name, group, ranges, campaign.conditions, taking)
        return campaign.template.render(shown), taking.missing if taking else []

    def inputs(self, group: str, packing: Packing) -> Iterator[str]:
        """Render the inputs of a group in order. Raises ``TemplateError`` for the first that does not render."""
        for ranges in packing.inputs(self._campaign.condition_keys):
            yield self.text(group, ranges)

    def entries(self, group: str, ranges: Sequence[RunRange], input_digest: str) -> list[RangeEntry]:
        """Return what the ledger keeps of the ranges of an input with this digest."""
        alone = len(ranges) == 1 and ranges[0].size == 1
        return [
            RangeEntry(
                each,
                self.fingerprints[each.condition_key],
                input_digest if alone else self.rendering(group, each.condition_key, each.start_seed),
            )
            for each in ranges
        ]


def render_digests(campaign: Campaign, plan: Plan) -> dict[str, list[str]]:
    """Render every input of a plan once and return the digests per group. Raises ``TemplateError``."""
    renderer = Renderer(campaign)
    return {group: [digest(text) for text in renderer.inputs(group, packing)] for group, packing in plan.groups.items()}
