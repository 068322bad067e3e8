"""The page that shows a campaign."""

from simcampaign.report.page import ArrayLine, Failure, Page, Picture, Usage
from simcampaign.report.render import render_page

__all__ = ["ArrayLine", "Failure", "Page", "Picture", "Usage", "render_page"]
