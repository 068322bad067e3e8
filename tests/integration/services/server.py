"""The test server: moto's S3, Logs, IAM, EC2 and CloudFormation, and a Batch that behaves as the service does.

    python -m tests.integration.services.server -H HOST -p PORT

Environment: DOCKER_HOST (where containers run), BATCH_SLOTS (jobs at once), BATCH_LISTED_AFTER (seconds until ListJobs
knows a job), BATCH_NOTES (where played jobs note their runs), AWS_* (handed on to containers).
"""

from __future__ import annotations

import sys

from moto.server import main

from tests.integration.services.batch_service import install

install()
main(sys.argv[1:])
