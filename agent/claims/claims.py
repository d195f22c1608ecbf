"""What the rest of the agent asks of claims, and the answer of a desk that is alone."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from agent.journal import Job, Journal


class Claims(ABC):
    """One desk's share of the work."""

    @property
    @abstractmethod
    def back_to_waiting(self) -> bool:
        """Whether a job that nobody waits for any more is given back, rather than kept for the next card."""

    @abstractmethod
    def claim(self, *, joiners: bool) -> bool:
        """Take up what may be encoded; jobs that join others only with `joiners`, which says that all are known.

        Returns whether there is more to do for an encoder now; more may follow by itself.
        """

    @abstractmethod
    def taking(
        self, job: Job, *, replace_card: bool, who: str, reason: str | None
    ) -> AbstractAsyncContextManager[int | None]:
        """A person picks this job: within the context it is this desk's. Gives the token of a claim that is new.

        With `replace_card` no desk can keep it, and `who` said so and why is in the audit trail before that.

        Raises:
            EncoderError: it is another desk's, or that can't be told.
        """

    @abstractmethod
    async def begin(self, job: Job, card_uid: str) -> None:
        """The next byte changes this card. Returns only where the job is certainly this desk's.

        Raises:
            EncoderError: it isn't, or that can't be told.
        """

    @abstractmethod
    async def begun_elsewhere(self, card_uid: str, acs_credential_ids: Collection[str]) -> set[str] | None:
        """The credentials that other desks have written, or may have, on this card, or that are among these.

        None where that can't be told.
        """

    @abstractmethod
    def why_not_here(self, acs_credential_id: str) -> str | None:
        """Why a job that waits is not for this desk, in a sentence; None where it is."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """For the desk page and `status`."""

    @abstractmethod
    async def run(self) -> None:
        """Keep the agreement, until cancelled."""


class LocalClaims(Claims):
    """All that this desk knows of is this desk's to encode."""

    def __init__(self, journal: Journal, *, auto: bool) -> None:
        """`auto`: cards are written without anybody picking them."""
        self._journal = journal
        self._auto = auto

    @property
    def back_to_waiting(self) -> bool:
        """See `Claims.back_to_waiting`."""
        return not self._auto

    def claim(self, *, joiners: bool) -> bool:
        """See `Claims.claim`."""
        return self._auto and bool(self._journal.claim(joiners=joiners))

    def taking(
        self, job: Job, *, replace_card: bool, who: str, reason: str | None
    ) -> AbstractAsyncContextManager[int | None]:
        """See `Claims.taking`."""
        return nullcontext()

    async def begin(self, job: Job, card_uid: str) -> None:
        """See `Claims.begin`."""

    async def begun_elsewhere(self, card_uid: str, acs_credential_ids: Collection[str]) -> set[str] | None:
        """See `Claims.begun_elsewhere`."""
        return set()

    def why_not_here(self, acs_credential_id: str) -> str | None:
        """See `Claims.why_not_here`."""
        return None

    def state(self) -> dict[str, Any]:
        """See `Claims.state`."""
        return {"shared": False, "up": True, "trouble": None, "held": None}

    async def run(self) -> None:
        """See `Claims.run`: there is nothing to agree on."""
        await asyncio.Event().wait()
