"""Whose live credentials a card holds, as far as the service, the journal and the other desks know."""

from __future__ import annotations

import asyncio

from agent import clock
from agent.claims import Claims
from agent.credential import Credential, MalformedCredential
from agent.journal import Card, CardStanding, Journal
from agent.service import LONGEST_WITH_A_CARD_S, Gone, Service, ServiceError
from drivers.encoder import FoundCard


async def holders(
    service: Service, claims: Claims, journal: Journal, found: FoundCard, row: Card | None, acs_credential_id: str
) -> tuple[str, ...] | None:
    """Credentials other than this one that live on the card, as far as its content, the journal and other desks know.

    None where service or claims can't tell.
    """
    try:
        async with asyncio.timeout(LONGEST_WITH_A_CARD_S):
            return await _holders(service, claims, journal, found, row, acs_credential_id)
    except (TimeoutError, ServiceError, MalformedCredential):
        return None


async def _holders(
    service: Service, claims: Claims, journal: Journal, found: FoundCard, row: Card | None, acs_credential_id: str
) -> tuple[str, ...] | None:
    candidates: dict[str, Credential] = {}
    if found.card_number:
        candidates |= {c.acs_credential_id: c for c in await service.with_card_number(found.card_number)}
    if row is not None and row.standing is CardStanding.VOID:
        candidates.pop(row.acs_credential_id, None)  # another card has taken this one's place
    elif row is not None:
        try:
            candidates[row.acs_credential_id] = await service.get(row.acs_credential_id)
        except Gone:
            candidates.pop(row.acs_credential_id, None)
    begun = await claims.begun_elsewhere(found.uid, candidates)
    if begun is None:
        return None
    now = clock.now()
    # What this desk has verified counts as issued, though the report may still be on its way; and what it has begun has
    # this card, until that one was read again. A card without a UID may be any that holds the number.
    written_here = row.acs_credential_id if row is not None and row.standing is not CardStanding.VOID else None
    return tuple(
        other.acs_credential_id
        for other in candidates.values()
        if other.acs_credential_id != acs_credential_id
        and (
            other.is_issued is not False
            or other.acs_credential_id in (written_here, *begun)
            or journal.may_have_a_card(other.acs_credential_id)
            or (not found.uid and journal.is_being_issued(other.acs_credential_id))
        )
        and (other.ends is None or other.ends > now)
    ) + tuple(begun - candidates.keys() - {acs_credential_id})
