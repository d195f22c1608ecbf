"""The cards in the guests' hands: the sample hotel's credentials that were issued before are on one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from agent.credential import NEEDS_TO_BE_REISSUED
from agent.sandbox.kinds import CREDENTIAL
from agent.sandbox.store import Query, Store
from drivers.content import CardNumber
from drivers.encoder import EncodeRequest
from drivers.virtual.driver import VirtualEncoder, VirtualOptions

_PAGE = 1000


def own_cards(store: Store, folder: Path) -> dict[str, str]:
    """The UID of the card that each credential to be encoded again is on; made at the first start.

    The cards are in `cards.json` in `folder`, for the virtual encoder, and which is whose is in `own-cards.json`.
    """
    register = folder / "own-cards.json"
    if register.exists():
        kept: dict[str, str] = json.loads(register.read_text())
        return kept
    encoder = VirtualEncoder("sandbox", VirtualOptions(feed="manual", pace_ms=0, cards_file=folder / "cards.json"))
    encoder.open()
    cards = {i: _issue(encoder, number) for i, number in _issued_before(store)}
    encoder.close()
    register.write_text(json.dumps(cards))
    return cards


def _issue(encoder: VirtualEncoder, card_number: str) -> str:
    uid = encoder.put(kind="NTAG213")
    encoder.encode(EncodeRequest(CardNumber(card_number), lambda _: None))
    encoder.take()
    return uid


def _issued_before(store: Store) -> Iterator[tuple[str, str]]:
    position: int | None = 0
    while position is not None:
        page = store.page(CREDENTIAL, Query(), position, _PAGE)
        for body in page.bodies:
            if NEEDS_TO_BE_REISSUED in body and (number := json.loads(body)["card_number"]):
                yield json.loads(body)["acs_credential_id"], number
        position = page.next_position
