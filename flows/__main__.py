"""List the flows: ``python -m flows``."""

from __future__ import annotations

import ast
import sys
from pathlib import Path


def listed() -> list[tuple[str, str]]:
    """Return name and first line of the docstring of every flow; no flow is imported, so Prefect is not either."""
    found = []
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path.name.startswith("_") or "def run_flow(" not in text:
            continue
        docstring = ast.get_docstring(ast.parse(text)) or ""
        found.append((path.stem, docstring.splitlines()[0] if docstring else ""))
    return found


def main() -> int:
    """Print the flows and how to learn more."""
    flows = listed()
    width = max(len(name) for name, _ in flows)
    lines = [f"  {name.ljust(width)}  {purpose}" for name, purpose in flows]
    text = [
        "Flows:",
        *lines,
        "",
        "Run one:     python -m flows.NAME CONFIG.yaml",
        "Explain one: python -m flows.NAME --help",
    ]
    sys.stdout.write("\n".join(text) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
