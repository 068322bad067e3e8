"""Have Prefect send word when runs of a campaign fail: ``python deployments/automations.py BLOCK [SERIES]``.

BLOCK is a notification block of Prefect, as ``prefect block ls`` names it, such as sendgrid-email/simulations for mail.
SERIES limits it to one series; by default any counts. Type it again to change the automation.
"""

from __future__ import annotations

import sys

from prefect.client.orchestration import get_client
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound

BODY = """\
{{ event.payload.failed }} jobs of {{ event.resource.name }} failed since the last look.
Runs:{% for state, count in event.payload.counts.items() %} {{ count }} {{ state }}.{% endfor %}

{% for failure in event.payload.failures %}{{ failure }}
{% endfor %}
Summary: {{ event.payload.summary }}
"""


def mail_on_failure(block: str, series: str = "*") -> AutomationCore:
    """Return the automation that sends word by a notification block; nothing is created yet."""
    kind, _, name = block.partition("/")
    with get_client(sync_client=True) as client:
        document = client.read_block_document_by_name(name, kind)
    return AutomationCore(
        name=f"send word when {'a campaign' if series == '*' else series} fails",
        description="Runs failed in a tick of a campaign.",
        trigger=EventTrigger(
            expect={"campaign.failed"},
            match={"prefect.resource.id": f"simcampaign.campaign.{series}"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[
            SendNotification(block_document_id=document.id, subject="{{ event.resource.name }}: runs failed", body=BODY)
        ],
    )


def main(arguments: list[str]) -> int:
    """Create the automation, in place of one of the same name."""
    if not 1 <= len(arguments) <= 2 or "/" not in arguments[0]:
        sys.stderr.write(f"{__doc__}")
        return 2
    try:
        wanted = mail_on_failure(*arguments)
    except ObjectNotFound:
        sys.stderr.write(f"{arguments[0]}: there is no such block\n  → prefect block ls\n")
        return 3
    with get_client(sync_client=True) as client:
        for old in client.read_automations_by_name(wanted.name):
            client.delete_automation(old.id)
        client.create_automation(wanted)
    sys.stdout.write(f"automation '{wanted.name}' is created\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
