"""The verbs ``sites``, ``queues`` and ``doctor``."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Iterable
from typing import Any

from simcampaign.cli.output import amount, print_json, print_line, print_table, say
from simcampaign.docstrings import field_docstrings
from simcampaign.errors import ConfigError
from simcampaign.plugins import Broken
from simcampaign.sites.base import Finding
from simcampaign.sites.registry import (
    ConfiguredSite,
    SiteConfig,
    backends,
    open_site,
    read_tables,
    site_names,
    sites_file,
)

MARKS = {True: "✓", False: "✗", None: "·"}
ABSENT_SITES = "no site but local is configured; add one: simcampaign sites add"


def list_sites(options: argparse.Namespace) -> int:
    """List the sites; those that cannot be used come with the reason, and so do backends."""
    sites = [_listed(name) for name in site_names()]
    installed = backends()
    broken = {name: kind.reason for name in installed if isinstance(kind := installed[name], Broken)}
    if options.json:
        kinds = [{"name": name, "broken": broken.get(name)} for name in installed]
        print_json({"file": str(sites_file()), "sites": sites, "backends": kinds})
        return 0
    rows = [(each["name"], each["backend"], each["host"], shlex.join(each["executable"])) for each in sites]
    print_table(("SITE", "BACKEND", "HOST", "EXECUTABLE"), rows)
    for each in sites:
        if each["broken"]:
            print_line(f"\n{MARKS[False]} {each['name']} cannot be used:\n{each['broken']}")
    for name, reason in broken.items():
        print_line(f"\n{MARKS[False]} backend {name} cannot be used: {reason}")
    if len(sites) == 1:
        say(f"\n{ABSENT_SITES}")
    return 0


def _listed(name: str) -> dict[str, Any]:
    table = read_tables().get(name, {})
    backend = table.get("backend", name) if isinstance(table, dict) else ""
    listed: dict[str, Any] = {"name": name, "backend": str(backend), "host": "", "executable": [], "mpirun": []}
    try:
        site = open_site(name)
    except ConfigError as error:
        return {**listed, "broken": "\n".join(f"  {problem}" for problem in error.problems)}
    listed |= {"host": _host(site), "executable": list(site.executable), "mpirun": list(site.mpirun)}
    return {**listed, "broken": None}


def _host(site: ConfiguredSite) -> str:
    return site.site.host.name if site.site.host else ""


def show_site(options: argparse.Namespace) -> int:
    """Show everything that is set for a site, with what it means."""
    name = options.site
    configured = open_site(name)
    table = read_tables().get(name, {})
    given = table if isinstance(table, dict) else {}
    fields = list(_fields(SiteConfig, {"backend": configured.backend, **given}))
    fields += _fields(configured.site.options, given)
    if options.json:
        capabilities = dataclasses.asdict(configured.site.capabilities)
        found = {"name": name, "backend": configured.backend, "host": _host(configured)}
        values = {field: value for field, value, _, _ in fields if field != "backend"}
        print_json({**found, "scratch": configured.site.scratch, "fields": values, "capabilities": capabilities})
        return 0
    place = f"at {_host(configured)}, files in {configured.site.scratch}" if configured.site.host else "no host of ours"
    print_line(f"{name}: {configured.backend}, {place}\n")
    rows = [(field, _shown(value), "" if is_given else "default", help_) for field, value, is_given, help_ in fields]
    print_table(("FIELD", "VALUE", "", "MEANING"), rows)
    return 0


def _fields(kind: type[Any], given: dict[str, Any]) -> Iterable[tuple[str, Any, bool, str]]:
    """Yield each field with its value, whether that was written by a person, and what it means."""
    help_of = field_docstrings(kind)
    for each in dataclasses.fields(kind):
        value = None if each.default is dataclasses.MISSING else each.default
        if each.default_factory is not dataclasses.MISSING:
            value = each.default_factory()
        yield each.name, given.get(each.name, value), each.name in given, help_of[each.name]


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={item}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def list_queues(options: argparse.Namespace) -> int:
    """List the partitions or queues of a site."""
    queues = open_site(options.site).site.queues()
    if options.json:
        print_json({"site": options.site, "queues": [dataclasses.asdict(queue) for queue in queues]})
        return 0
    if not queues:
        say(f"site {options.site} has no queues to choose from")
        return 0
    columns = ("QUEUE", "STATE", "NODES", "CORES", "MEMORY MIB", "LONGEST")
    rows = [
        (
            f"{queue.name}{' (default)' if queue.default else ''}",
            queue.state,
            _part(queue.nodes_used, queue.nodes),
            _part(queue.cores_used, queue.cores),
            _part(queue.memory_used_mb, queue.memory_mb),
            _longest(queue.max_seconds),
        )
        for queue in queues
    ]
    print_table(columns, rows, right=columns[2:])
    return 0


def _part(used: int | None, total: int | None) -> str:
    """Return used / total; what is not told is left out."""
    if total is None:
        return amount(used)
    return f"{used} / {total}" if used is not None else f"{total}"


def _longest(seconds: float | None) -> str:
    """Return a limit on time as clusters write it: days-hours:minutes."""
    if seconds is None:
        return ""
    minutes = int(seconds // 60)
    days, hours = divmod(minutes // 60, 24)
    return f"{days}-{hours:02d}:{minutes % 60:02d}" if days else f"{hours:02d}:{minutes % 60:02d}"


def examine(options: argparse.Namespace) -> int:
    """Ask a site's doctor; 1 if jobs will fail."""
    configured = open_site(options.site)
    findings = follow_doctor(configured, show=not options.json)
    fine = is_fine(findings)
    if options.json:
        print_json({"site": options.site, "fine": fine, "findings": [dataclasses.asdict(each) for each in findings]})
    return 0 if fine else 1


def follow_doctor(configured: ConfiguredSite, show: bool) -> list[Finding]:
    """Return what the doctor finds, each shown as it comes."""
    findings = []
    for finding in configured.site.doctor():
        findings.append(finding)
        if show:
            detail = finding.detail.replace("\n", "\n    ")
            print_line(f"{MARKS[finding.fine]} {finding.subject}: {detail}")
    return findings


def is_fine(findings: Iterable[Finding]) -> bool:
    """Tell whether jobs can run after these findings."""
    return all(finding.fine is not False for finding in findings)
