"""List the files of a series into its manifest and summarise them.

The manifest is a table of the files that exist (CSV, or Parquet by the ending of its key). The summary has one row a
condition and one column an extension; it is printed, and saved as text and as a page with a map of all runs.

Working location:

    (name)/YYYY-MM-DD/(name).SUMMARY.txt
    (name)/YYYY-MM-DD/(name).SUMMARY.html
"""

from __future__ import annotations

import sys

from configs.manifest import ManifestContextConfig as ContextConfig
from configs.manifest import ManifestParametersConfig as ParametersConfig
from configs.manifest import ManifestSeriesConfig as SeriesConfig

if __name__ == "__main__":
    # Help and errors must not wait for Prefect; the command imports this module again under its own name.
    from flows.command import FlowCommand, main

    sys.exit(main(FlowCommand("summarize_manifest", __doc__, ContextConfig, SeriesConfig, ParametersConfig)))

from prefect import flow

from simcampaign.engine.campaign import SeriesRecord
from simcampaign.layout import Layout
from simcampaign.storage import Location
from tasks import steps
from tasks.naming import flow_run_name
from tasks.outcome import Listed


@flow(name="summarize-manifest", flow_run_name=flow_run_name)
def run_flow(context: ContextConfig, series: SeriesConfig, parameters: ParametersConfig) -> Listed:
    """List the files of a series into its manifest and summarise them."""
    expanded = series.expand()
    record = SeriesRecord(
        series=expanded,
        layout=Layout.today(expanded.name),
        working=Location.open(context.working_location),
        manifest=Location.open(context.manifest_location),
    )
    if parameters.update_manifest:
        locations = [Location.open(location) for location in parameters.search_locations]
        filters = parameters.include_filters, parameters.exclude_filters
        manifest = steps.list_series(steps.whole(record), steps.whole(locations), *filters)
    else:
        manifest = steps.saved_manifest(steps.whole(record))
    return Listed(steps.publish_overview(steps.whole(record), steps.whole(manifest)))
