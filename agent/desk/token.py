"""The desk token: made on first start, it opens everything on the loopback port."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from pathlib import Path

from drivers.steps import step

PREFIX = "seam_"
"""The `seam` SDK refuses an API key without it."""


class DeskToken:
    """The token. It is compared in constant time and never printed."""

    def __init__(self, value: str) -> None:
        self._value = value

    @classmethod
    def at(cls, path: Path) -> DeskToken:
        """The token in this file, made (mode 0600) where there is none.

        Raises:
            OSError: it can't be read or written, or holds no token; the message says what to do.
        """
        with contextlib.suppress(FileExistsError):
            _make(path)
        value = path.read_text(encoding="ascii", errors="replace").strip()
        if not value.startswith(PREFIX) or len(value) < len(PREFIX) + 20:
            raise OSError(f"{path} holds no desk token. Remove the file: a new token is made at the next start.")
        return cls(value)

    def __repr__(self) -> str:
        return "DeskToken()"

    def is_bearer(self, authorization: str) -> bool:
        """Whether this `Authorization` header bears the token."""
        return hmac.compare_digest(authorization.encode(), f"Bearer {self._value}".encode())

    @property
    def cookie(self) -> str:
        """What the browser keeps in place of the token: other local servers see it, and can't use it as Bearer."""
        return hmac.digest(self._value.encode(), b"desk page cookie", "sha256").hex()

    def is_cookie(self, value: str) -> bool:
        """Whether this is the cookie."""
        return hmac.compare_digest(value.encode(), self.cookie.encode())


def _make(path: Path) -> None:
    """A new token, complete or not there at all, whatever interrupts it. FileExistsError where there is one."""
    if path.exists():
        raise FileExistsError
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    file = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(file, "w", encoding="ascii") as out:
            out.write(f"{PREFIX}{secrets.token_urlsafe(32)}\n")
            out.flush()
            os.fsync(out.fileno())
        with step("file.desk_token"):
            os.link(new, path)
    finally:
        new.unlink()
