"""Configs: what a person writes, read, checked as a whole and documented.

``load`` is the way in: it takes a command line and returns validated ``ContextConfig``, ``SeriesConfig`` and
``ParametersConfig``, or raises one ConfigError with every mistake. ``describe`` writes the help of their fields, and
``resolve_secret`` fetches a secret when it is needed. The folders ``context``, ``series`` and ``parameters`` hold
examples, by name.
"""

from configs.help import describe
from configs.loaded import Loaded, load
from configs.references import resolve_secret

__all__ = ["Loaded", "describe", "load", "resolve_secret"]
