"""What the journal holds, as its readers see it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from agent.journal.schema import QUEUE


class JournalError(Exception):
    """The journal can't be opened, read or written. The message says what to do."""


class JournalDamaged(JournalError):
    """What the file holds can't be trusted. Nothing is written any more; the next start sets it aside."""


class IllegalStep(JournalError):
    """A step that the job's state doesn't allow. The database itself refuses it; nothing was changed."""


class JobState(StrEnum):
    """Where a job stands. `schema.TRANSITIONS` has the steps between them."""

    WAITING = "waiting"
    """Known, not taken up: it waits for the provider, for what it joins, or for a person to pick it."""
    CLAIMED = "claimed"
    """This desk's to encode, as soon as a card comes."""
    BOUND = "bound"
    """The card is known, nothing has been written."""
    WRITING = "writing"
    """Bytes may have changed: until the card was read back, what it holds is unknown."""
    VERIFIED = "verified"
    """Written and read back; the report is in the outbox."""
    REPORTED = "reported"
    """The service has acknowledged it."""
    HELD = "held"
    """A person has to look at it."""
    FAILED = "failed"
    """The service has this credential on another card."""
    CANCELLED = "cancelled"
    """Nothing is to be encoded any more."""
    ORPHANED = "orphaned"
    """A card was written, and the credential is gone: the card is to be taken back."""


OPEN_STATES = tuple(map(JobState, QUEUE))
"""The states in which a credential has a job; there is never more than one such job for it."""


class OutboxState(StrEnum):
    """Where a report stands. Only `acknowledged` and `orphaned` are ends."""

    PENDING = "pending"
    ACKNOWLEDGED = "acknowledged"
    ORPHANED = "orphaned"
    CONFLICT = "conflict"
    REFUSED = "refused"


class CardStanding(StrEnum):
    """What the journal thinks of a card that it wrote."""

    LIVE = "live"
    UNKNOWN = "unknown"
    """Writing began and was not verified."""
    VOID = "void"
    """Replaced by another card: to be taken back."""


@dataclass(frozen=True)
class Scope:
    """Which credentials an encoder writes.

    `vendors` are those whose content it can write, None standing for what no vendor makes. `acs_system_ids` are the
    access systems that it writes for; empty: all. `numberless`: credentials without a number too, since its cards have
    a UID that takes its place, or need none. `by_order`: what no vendor makes isn't written as a number, but ordered as
    a key, of the vendor whose encoder it is.
    """

    vendors: tuple[str | None, ...] = (None,)
    acs_system_ids: tuple[str, ...] = ()
    numberless: bool = True
    by_order: bool = False

    def takes(self, vendor: str | None, acs_system_id: str | None, card_number: str | None) -> bool:
        """Whether it writes a credential of this vendor and system, with this number."""
        return (
            vendor in self.vendors
            and (not self.acs_system_ids or acs_system_id in self.acs_system_ids)
            and (self.numberless or vendor is not None or card_number is not None)
        )


@dataclass(frozen=True)
class Intake:
    """A credential with a decision, on its way into the journal. `credential` is JSON, `digest` tells changes."""

    acs_credential_id: str
    state: JobState
    ready: bool
    code: str
    reason: str
    credential: str = field(repr=False)
    digest: bytes
    reissue: bool
    vendor: str | None
    issued: bool
    card_number: str | None = field(repr=False)
    sort_key: str
    ends_at: str | None
    joins: tuple[str, ...] = ()
    asked: bool = False
    """A person wants it encoded although the service doesn't wait for it."""
    acs_system_id: str | None = None
    by_order: bool = False
    """An encoder of this desk makes its key by order: see `Scope`."""


@dataclass(frozen=True)
class Job:
    """One credential's way onto a card. `credential` is the JSON object as last seen."""

    job_id: int
    acs_credential_id: str
    state: JobState
    ready: bool
    code: str
    reason: str
    credential: dict[str, Any] = field(repr=False)
    reissue: bool
    vendor: str | None
    issued: bool
    ends_at: str | None
    priority: int
    picked: bool
    asked: bool
    wanted_encoder: str | None
    encoder: str | None
    card_uid: str | None
    replace_card: bool
    overwrite: bool
    requested_by: str | None
    request_reason: str | None
    consent: str | None
    held_by: str | None
    held_from: str | None
    claim_token: int | None
    claim_kept: bool
    created_at: str
    updated_at: str
    seen_to_by: str | None = None
    """Who said that the card of a job that ended badly has been seen to."""
    acs_system_id: str | None = None
    by_order: bool = False

    @property
    def needs_a_claim(self) -> bool:
        """Whether desks that share a system must agree on who encodes it.

        One that is issued goes on its own card again, and that card is only at one desk; unless nothing tells which
        card that is, or its key may be made anew on any.
        """
        return self.replace_card or self.by_order or not self.issued or not self.card_number

    @property
    def card_number(self) -> str | None:
        """The credential's number, as last seen."""
        number = self.credential.get("card_number") if isinstance(self.credential, dict) else None
        return number if isinstance(number, str) else None

    @classmethod
    def of(cls, row: sqlite3.Row) -> Job:
        """From a row of the table `jobs`."""
        return cls(
            job_id=row["job_id"],
            acs_credential_id=row["acs_credential_id"],
            state=JobState(row["state"]),
            ready=bool(row["ready"]),
            code=row["code"],
            reason=row["reason"],
            credential=json.loads(row["credential"]),
            reissue=bool(row["reissue"]),
            vendor=row["vendor"],
            issued=bool(row["issued"]),
            ends_at=row["ends_at"],
            priority=row["priority"],
            picked=bool(row["picked"]),
            asked=bool(row["asked"]),
            wanted_encoder=row["wanted_encoder"],
            encoder=row["encoder"],
            card_uid=row["card_uid"],
            replace_card=bool(row["replace_card"]),
            overwrite=bool(row["overwrite"]),
            requested_by=row["requested_by"],
            request_reason=row["request_reason"],
            consent=row["consent"],
            held_by=row["held_by"],
            held_from=row["held_from"],
            claim_token=row["claim_token"],
            claim_kept=bool(row["claim_kept"]),
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            seen_to_by=row["seen_to_by"],
            acs_system_id=row["acs_system_id"],
            by_order=bool(row["by_order"]),
        )


@dataclass(frozen=True)
class Card:
    """A card that this desk wrote, by its UID. `number_is_uid`: the number it carries is its own UID."""

    uid: str
    acs_credential_id: str
    job_id: int
    standing: CardStanding
    card_number: str | None = field(repr=False)
    number_is_uid: bool
    ends_at: str | None
    updated_at: str


@dataclass(frozen=True)
class OutboxEntry:
    """A report to be sent until the service acknowledges it. `body` is the JSON object of the request."""

    outbox_id: int
    job_id: int
    acs_credential_id: str
    idempotency_key: str
    body: dict[str, Any] = field(repr=False)
    state: OutboxState
    tries: int
    next_try_at: str
    last_answer: str | None
    created_at: str
