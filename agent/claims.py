"""Who encodes what.

A single desk needs no agreement: what it sees is its own, with or without a network. Desks that share a system will
agree through a database; both offer `claim`.
"""

from __future__ import annotations

from agent.journal import Journal


class LocalClaims:
    """All that this desk knows of is this desk's to encode."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def claim(self, *, joiners: bool) -> int:
        """Take up every job that may be encoded, those that join others only with `joiners`: when all are known.

        Returns how many were new.
        """
        return self._journal.claim(joiners=joiners)
