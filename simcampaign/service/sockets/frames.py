"""Frames: what clients may send over Socket.IO. Anything else ends the connection before a parser sees it."""

from __future__ import annotations

import json
import re

from simcampaign.service.security.gate import LARGEST_PACKET

MOST_TOGETHER = 16
"""Frames in one request of a client that polls; as many as Engine.IO takes."""

SEPARATOR = "\x1e"
_MOST_BRACKETS = 500
"""Brackets in one frame, so that none is nested deeper than parsers can go."""

_CONTROL = frozenset({"1", "2", "2probe", "3", "3probe", "5", "6"})
_CONNECT = re.compile(r"40(?:/[\w/.-]{0,60},?)?(\{.*\})?", re.ASCII | re.DOTALL)
_DISCONNECT = re.compile(r"41(?:/[\w/.-]{0,60},?)?", re.ASCII)
_EVENT = re.compile(r"42(?:/[\w/.-]{0,60},)?[0-9]{0,15}(\[.*\])", re.ASCII | re.DOTALL)
_RESERVED = frozenset({"connect", "disconnect", "*"})
"""Names that events of clients must not have: the server's own handlers have them."""


def fault(frame: str | bytes) -> str:
    """Return why a frame is refused; an empty string if it is fine."""
    if isinstance(frame, bytes):
        return "binary frames are not taken"
    if len(frame) > LARGEST_PACKET:
        return f"a frame is larger than {LARGEST_PACKET} bytes"
    if frame in _CONTROL or _DISCONNECT.fullmatch(frame):
        return ""
    if match := _CONNECT.fullmatch(frame):
        return "" if match[1] is None or _value(match[1]) is not None else "a frame is malformed"
    if match := _EVENT.fullmatch(frame):
        value = _value(match[1])
        if isinstance(value, list) and value and isinstance(value[0], str):
            return f"{value[0]} is no event of a client" if value[0] in _RESERVED else ""
    return "a frame is malformed"


def fault_of_body(body: bytes) -> str:
    """Return why a request of a client that polls is refused; an empty string if it is fine."""
    try:
        frames = body.decode("utf-8").split(SEPARATOR)
    except UnicodeDecodeError:
        return "the body is no text"
    if len(frames) > MOST_TOGETHER:
        return f"more than {MOST_TOGETHER} frames come together"
    return next((why for frame in frames if (why := fault(frame))), "")


def _value(text: str) -> object:
    if text.count("[") + text.count("{") > _MOST_BRACKETS:
        return None
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
