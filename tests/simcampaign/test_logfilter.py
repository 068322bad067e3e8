"""Log filters: the text patterns of CloudWatch Logs."""

import pytest

from simcampaign.errors import ConfigError
from simcampaign.logfilter import filter_log, line_filter

LOG = b"INFO start\nERROR disk full\nERROR ignored\nWARN disk\n\xff\n"


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("", LOG.decode(errors="replace")),
        ("ERROR", "ERROR disk full\nERROR ignored\n"),
        ("ERROR disk", "ERROR disk full\n"),
        ('"disk full"', "ERROR disk full\n"),
        ("?WARN ?ERROR", "ERROR disk full\nERROR ignored\nWARN disk\n"),
        ("ERROR -ignored", "ERROR disk full\n"),
        ("%^(INFO|WARN)%", "INFO start\nWARN disk\n"),
        ("error", ""),
    ],
)
def test_a_pattern_keeps_the_lines_that_cloudwatch_would(pattern, kept):
    assert filter_log(LOG, line_filter(pattern)).decode() == kept


def test_a_broken_regular_expression_is_a_mistake_in_the_configuration():
    with pytest.raises(ConfigError, match="log_filter"):
        line_filter("%(%")
