"""What MkDocs needs to build the guide as a site: files that pages link to outside of the guide come along."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

_OUTSIDE = re.compile(r"\]\(\.\./([^)#\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside of the guide that its pages link to."""
    pages = [Path(str(file.abs_src_path)) for file in files.documentation_pages()]
    linked = {link for page in pages for link in _OUTSIDE.findall(page.read_text(encoding="utf-8"))}
    for link in sorted(linked):
        files.append(File.generated(config, _placed(link), abs_src_path=str(ROOT / link)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs' names
    """Let links that lead out of the guide lead to what came along."""
    return _OUTSIDE.sub(lambda match: f"]({_placed(match[1])})", markdown)


def _placed(link: str) -> str:
    """Return where a file of the project is in the site; a page of its own links would lead nowhere, so it is text."""
    stem, extension = posixpath.splitext(link)
    return f"files/{stem}.txt" if extension == ".md" else f"files/{link}"
