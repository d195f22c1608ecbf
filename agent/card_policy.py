"""Whether the card on the encoder may be written for this credential. Pure.

Two things are at stake: the card may hold somebody else's live credential, and the credential may be on another card.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.config import Overwrite
from agent.credential import Credential
from agent.journal import Card, CardStanding, Job, JobState
from drivers.encoder import CardState, FoundCard, OrderNote
from drivers.errors import BridgeDisconnected, CredentialCannotBeReissued, EncoderError, IncompatibleCardFormat


class OtherCard(CredentialCannotBeReissued):
    """The credential has to go on another card than this one."""


_CONFIRM = "Take another card, or confirm at the desk that this one may be overwritten (`encode ID --overwrite`)."


@dataclass(frozen=True)
class Knowledge:
    """What is known of the card beyond its own content.

    `row` is what the journal has on it: nothing where it has no UID. `holders` are credentials, other than the one to
    be encoded, that live on it according to the service; None where the service could not be asked. `ordered` is what
    is known of the order by which the journal has it.
    """

    row: Card | None
    holders: tuple[str, ...] | None
    ordered: OrderNote | None = None


def _is_own(found: FoundCard, row: Card | None, acs_credential_id: str, ordered: OrderNote | None = None) -> bool:
    """Whether the journal has the card as this credential's, and neither the card nor its vendor says otherwise.

    What an interrupted write left may be unreadable, or nothing. Else content that can't be read, and in any case a
    number that this desk did not write, may mean that somebody has used the card since.
    """
    if row is None or row.acs_credential_id != acs_credential_id:
        return False
    as_ordered = _is_as_ordered(found, ordered)
    if as_ordered is not None:
        return as_ordered
    if found.state is CardState.BLANK or (row.standing is CardStanding.UNKNOWN and found.state is CardState.FOREIGN):
        return True
    return (found.card_number or "").casefold() == (row.card_number or "").casefold()


_VOID = ("cancelled", "discarded", "expired", "overridden", "overwritten")
"""What `FoundCard.vendor` has of a key that opens nothing any more."""


def _is_as_ordered(found: FoundCard, ordered: OrderNote | None) -> bool | None:
    """Of a card that is a key by its vendor's word: whether that is the one which came of this order.

    The numbers don't tell: they are the card's own, whosever the key. None where the vendor doesn't tell either, or the
    key opens nothing.
    """
    told = found.vendor or {}
    its_id, ours = told.get("card_id"), ordered and ordered.facts.get("card_id")
    if its_id is None or ours is None or any(told.get(flag) for flag in _VOID):
        return None
    if str(its_id) != str(ours):
        return False
    return True if found.live else None


def _is_others(row: Card | None, credential: Credential) -> bool:
    """Whether the journal has the card as another credential's."""
    return (
        row is not None
        and row.standing is not CardStanding.VOID
        and row.acs_credential_id != credential.acs_credential_id
    )


def needs_the_service(found: FoundCard, row: Card | None, acs_credential_id: str) -> bool:
    """Whether the journal and the card alone can't tell if another live credential is on it."""
    if _is_own(found, row, acs_credential_id):
        return False
    return found.state is CardState.NUMBER or (row is not None and row.standing is not CardStanding.VOID)


def refusal(
    found: FoundCard, wanted: str | None, credential: Credential, job: Job, overwrite: Overwrite, known: Knowledge
) -> EncoderError | None:
    """Why the card must not be written, or None where it may.

    `wanted` is the number that it is to carry; of what a vendor makes, the one that the credential has.

    A card without a UID is judged by what it holds alone. What can't be told of it: that it was written a moment ago,
    or that it is the one on which writing was interrupted; and of a blank one, whose it was.
    """
    row, ordered = known.row, known.ordered
    if job.overwrite or overwrite == "always" or _is_own(found, row, credential.acs_credential_id, ordered):
        return None
    if known.holders:
        torn = row is not None and (row.acs_credential_id, row.standing) == (known.holders[0], CardStanding.UNKNOWN)
        return IncompatibleCardFormat(
            "Writing another credential on this card was interrupted." if torn else "The card holds a live credential.",
            next_step=_CONFIRM,
            reason="holds_live_credential",
            acs_credential_id=known.holders[0],
        )
    if found.state is CardState.FOREIGN:
        return IncompatibleCardFormat(
            "The card holds something that this agent did not write and can't read.",
            next_step=_CONFIRM,
            reason="foreign_content",
        )
    # A number that is the card's UID looks the same whosever it is: only one that the service has tells whose it is.
    if (
        found.state is CardState.NUMBER
        and found.card_number == wanted == credential.card_number
        and not _is_others(row, credential)
        and _is_as_ordered(found, ordered) is not False
    ):
        return None  # it is this credential's own already
    if found.live or _is_as_ordered(found, ordered) is False:
        return IncompatibleCardFormat(
            "The vendor's system has this card as a key that opens doors now, and not for this credential.",
            next_step=_CONFIRM,
            reason="vendor_key",
        )
    if known.holders is None and needs_the_service(found, row, credential.acs_credential_id):
        return BridgeDisconnected(
            "The card is not blank, and the service can't be asked whether what it holds is still in use.",
            next_step="Take a blank card, or try this one again when the service is back.",
            reason="unknown_holder",
        )
    begun = row is not None and row.acs_credential_id == credential.acs_credential_id
    if overwrite == "never" and found.state is not CardState.BLANK and not begun:
        return IncompatibleCardFormat(
            "The card is not blank, and this encoder is configured to write blank cards only.",
            next_step="Take a blank card.",
            reason="not_blank",
        )
    return None


def fate_refusal(job: Job, ordered: OrderNote | None, *, can_tell: bool) -> EncoderError | None:
    """Why nothing may be ordered of somebody else's system while what became of an earlier order isn't known.

    `ordered` is what was noted of that. `can_tell`: the encoder can read what a key is, or the system can be asked.
    Where neither is so, only a person can find out whether a key came of it: another order would void what other
    guests hold.
    """
    unknown = job.state is JobState.WRITING or ordered is not None
    if job.overwrite or not unknown or can_tell:
        return None
    return IncompatibleCardFormat(
        "A key was ordered, and whether it was made is not known: this encoder can't read keys.",
        next_step="See at the vendor's system whether it was made. `card-encoder encode "
        f"{job.acs_credential_id} --overwrite` orders it once more, which voids what came of the first order.",
        reason="unknown_content",
    )


def key_refusal(found: FoundCard, credential: Credential, job: Job, overwrite: Overwrite) -> EncoderError | None:
    """Why this key must not become the one that is ordered, or None where nothing but `refusal` is against it.

    One that is just as ordered (NUMBER) is the credential's own where it has one, or may have: else somebody else's who
    has the same doors for the same time. Where another key is to take the place of the first one, a key that is there
    already is not that.
    """
    if job.overwrite or overwrite == "always":
        return None
    may_be_its_own = credential.is_issued is True and not job.replace_card
    if found.state is CardState.NUMBER and job.state is not JobState.WRITING and not may_be_its_own:
        return IncompatibleCardFormat(
            "The card is a key for the same doors and times already, and was not made for this credential.",
            next_step=_CONFIRM,
            reason="foreign_content",
        )
    return None


def other_card(
    found: FoundCard, credential: Credential, job: Job, own_cards: list[Card], *, begun_before_issue: bool = False
) -> OtherCard | None:
    """Why the credential must not go on this card although the card would do: it is on another one, or may be.

    `begun_before_issue`: the job began this card when the service had the credential on none. If it has by now, that is
    another card: what was written here was never verified, and so never reported.

    A card without a UID is the credential's own where it holds its number. Where writing on one was interrupted,
    nothing tells which that is: the next one that comes is taken for it.
    """
    if job.replace_card:
        return None
    torn = job.state is JobState.WRITING and job.card_uid == ""
    if own_cards or torn:
        if torn or any(card.uid == found.uid for card in own_cards):
            if begun_before_issue and credential.is_issued is True:
                return OtherCard(
                    "Since writing this card was interrupted, the credential was issued on another one.",
                    next_step=f"Take this card back, then `card-encoder cancel {job.job_id}`. If it is to be this one: "
                    f"`card-encoder reencode {job.acs_credential_id} --replace-card --reason TEXT`.",
                    reason="other_card",
                )
            return None
        return OtherCard("This credential was written to another card.", card_uid=own_cards[0].uid, reason="other_card")
    if credential.is_issued is True and credential.card_number:
        number = credential.card_number.casefold()
        if number not in (found.uid, (found.card_number or "").casefold()):
            return OtherCard(
                "This credential is issued on another card: neither this card's number nor its UID is the one that the "
                "service has.",
                reason="other_card",
            )
    return None
