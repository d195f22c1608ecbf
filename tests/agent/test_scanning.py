"""What a card is that was read: by itself, by its vendor's word, and by the service's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agent.config import ServiceConfig
from agent.journal import Journal
from agent.scanning import _VENDORS_WORD, _metadata, compare
from agent.service import Service
from drivers.encoder import CardState, FoundCard
from tests.agent.samples import ID, issued
from tests.rig.openapi import validate
from tests.rig.scripted import Scripted, scripted

UID = "04a1b2c3d4e5f6"
HOLDER = "Mrs Holder"
ALL_OF_IT: dict[str, Any] = {
    "card_id": "k1",
    "card_format": "rfid48",
    "card_holder": HOLDER,
    "number_of_issued_cards": 2,
    "guest_acs_entrance_ids": ["73a0a199-024f-454d-a916-9bbda8502c12"],
    "common_acs_entrance_ids": [],
    **dict.fromkeys(_VENDORS_WORD, False),
}


@pytest.fixture
async def peer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scripted]:
    monkeypatch.setenv("CARD_ENCODER_API_KEY", "seam_key")
    async with scripted() as peer:
        yield peer


@pytest.fixture
async def service(peer: Scripted) -> AsyncIterator[Service]:
    service = Service(ServiceConfig(endpoint=peer.url))
    yield service
    await service.aclose()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def known_as(peer: Scripted, *credentials: dict[str, object]) -> None:
    peer.answer = lambda _: (200, {"acs_credentials": list(credentials), "ok": True})


def card(state: CardState = CardState.NUMBER, **vendor: Any) -> FoundCard:
    number = UID if state is CardState.NUMBER else None
    return FoundCard(UID, "chip", state, number, live=True, vendor=vendor or None)


def as_answer(result: dict[str, Any]) -> None:
    """It fits Seam's document; what the service says of the credential is passed on as it came."""
    attempt = {
        "action_attempt_id": ID,
        "action_type": "SCAN_CREDENTIAL",
        "status": "success",
        "result": result | {"acs_credential_on_seam": None},
        "error": None,
    }
    validate("/acs/encoders/scan_credential", "POST", 200, {"action_attempt": attempt, "ok": True})


async def test_what_the_vendor_says_is_in_the_answer(peer: Scripted, service: Service, journal: Journal) -> None:
    known_as(peer, issued(card_number=UID))
    with capture_logs() as logs:
        result, detail = await compare(card(**ALL_OF_IT), journal, service)
    assert result["acs_credential_on_encoder"]["visionline_metadata"] == ALL_OF_IT
    as_answer(result)
    assert (detail["match"], result["warnings"]) == (True, [])
    assert HOLDER not in f"{detail} {logs} {card(**ALL_OF_IT)!r}"


@pytest.mark.parametrize("flag", _VENDORS_WORD)
@pytest.mark.promise(7)
async def test_what_the_vendor_has_against_a_card_is_said_with_what_to_do(
    flag: str, peer: Scripted, service: Service, journal: Journal
) -> None:
    known_as(peer, issued(card_number=UID))
    result, detail = await compare(card(**ALL_OF_IT | {flag: True}), journal, service)
    assert detail["match"] is False
    (warning,) = result["warnings"]
    assert warning["warning_code"] == "acs_credential_on_encoder_out_of_sync"
    assert warning["warning_message"] == detail["message"]
    said = " ".join(detail["message"].split())
    assert f"reencode {ID} " in said or "prolonged at the service" in said
    assert result["acs_credential_on_encoder"]["visionline_metadata"][flag] is True
    as_answer(result)


async def test_several_are_all_said(peer: Scripted, service: Service, journal: Journal) -> None:
    known_as(peer)
    result, detail = await compare(card(card_id="k1", cancelled=True, expired=True), journal, service)
    assert "cancelled in Visionline" in detail["message"]
    assert "validity has ended" in detail["message"]
    assert "reencode ID" in detail["message"]
    assert result["warnings"][0]["warning_code"] == "acs_credential_on_seam_not_found"
    as_answer(result)


async def test_a_card_whose_content_only_the_vendor_knows(peer: Scripted, service: Service, journal: Journal) -> None:
    known_as(peer)
    result, _ = await compare(card(CardState.FOREIGN, card_id="k1"), journal, service)
    assert result["acs_credential_on_encoder"]["card_number"] is None
    as_answer(result)


@pytest.mark.parametrize("state", [CardState.BLANK, CardState.FOREIGN])
async def test_where_the_vendor_says_nothing_nothing_is_made_up(
    state: CardState, peer: Scripted, service: Service, journal: Journal
) -> None:
    known_as(peer)
    result, _ = await compare(card(state), journal, service)
    assert result["acs_credential_on_encoder"] is None
    known_as(peer, issued(card_number=UID))
    result, _ = await compare(card(), journal, service)
    assert "visionline_metadata" not in result["acs_credential_on_encoder"]


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.lists(st.text(max_size=5)))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.one_of(st.sampled_from(sorted(ALL_OF_IT)), st.text(max_size=8)), VALUES))
def test_whatever_a_vendor_says_the_answer_fits_the_document(told: dict[str, Any]) -> None:
    """Another vendor's words, or Visionline's of another version, are left out rather than passed on."""
    on_card = {"card_number": None, "created_at": None, "is_issued": True, "starts_at": None, "ends_at": None}
    metadata = _metadata(told)
    assert all(told[name] is value for name, value in metadata.items())
    as_answer(
        {
            "acs_credential_on_encoder": on_card | {"visionline_metadata": metadata},
            "acs_credential_on_seam": None,
            "warnings": [],
        }
    )
    assert json.dumps(metadata)
