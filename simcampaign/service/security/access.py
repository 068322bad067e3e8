"""Access: who has which token, and what each role may do."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from simcampaign.errors import ConfigError, LocationError, Problem
from simcampaign.service.settings import ROLES, SHORTEST_TOKEN, Settings

OWNER = "admin"
"""Who comes with the token of the token file."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks."""

    user: str
    """Empty where no token is needed: then a request says it, and everybody may do everything."""

    role: str

    def may(self, role: str) -> bool:
        """Tell whether this is enough for what needs a role."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def owns(self, user: str) -> bool:
        """Tell whether jobs of a user may be changed."""
        return self.may("admin") or (self.may("submitter") and self.user == user)


ANYBODY = Identity("", "admin")


class Access:
    """Knows the tokens, by their digests."""

    def __init__(self, settings: Settings) -> None:
        """Read the token file. Raises ``LocationError`` or ``ConfigError``."""
        self.guarded = settings.guarded
        self._known = {each.token_sha256: Identity(name, each.role) for name, each in settings.users.items()}
        if settings.token_file:
            self._known[digest(_read_token(Path(settings.token_file).expanduser()))] = Identity(OWNER, "admin")

    def identify(self, token: str) -> Identity | None:
        """Return who has a token; None if nobody has."""
        if not self.guarded:
            return ANYBODY
        wanted, found = digest(token), None
        for known, identity in self._known.items():  # all of them, so that the time tells nothing
            if hmac.compare_digest(known, wanted):
                found = identity
        return found


def digest(token: str) -> str:
    """Return what is kept of a token. Tokens are long and random, so that no slow digest is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _read_token(path: Path) -> str:
    hint = f"python -c 'import secrets; print(secrets.token_urlsafe())' > {path} && chmod 600 {path}"
    try:
        token = path.read_text(encoding="utf-8").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no text"
        raise LocationError(f"token file {path} cannot be read: {reason}", hint) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and os.name == "posix":
        raise LocationError(f"token file {path} can be read by others", f"chmod 600 {path}")
    if len(token) < SHORTEST_TOKEN or any(not 0x21 <= ord(each) < 0x7F for each in token):
        reason = f"holds no token: at least {SHORTEST_TOKEN} characters without blanks"
        raise ConfigError([Problem("service.token_file", str(path), reason)], hint)
    return token
