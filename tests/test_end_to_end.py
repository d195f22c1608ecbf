"""The whole way, with nothing replaced but the plastic: a credential made with Seam's own SDK, the sandbox service, the
agent as a process, the real pcscd, and a card in a virtual reader, read back from its memory by ndeflib.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from seam import Seam

from agent import clock
from drivers.pcsc.simulator import PulledAway, SimulatedCard
from tests.rig.cards import fresh_card, text_on
from tests.rig.daemon import Daemon, running_daemon, until
from tests.rig.gate import Gate
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import Sandbox, running_sandbox

pytestmark = [pytest.mark.pcscd, pytest.mark.sdk]

ENCODER = 'driver = "pcsc"\n[encoder.options]\nreader = "Rig A 00 00"'
KINDS = ["NTAG213", "Ultralight EV1", "MIFARE Classic 1K"]
NUMBER = "164d29dc4a09b65f"


def sdk(sandbox: Sandbox) -> Seam:
    return Seam(api_key=sandbox.key, endpoint=sandbox.url)


def empty(sandbox: Sandbox) -> Seam:
    """The SDK on a hotel without credentials, so that the next card is for the one that the test makes."""
    seam = sdk(sandbox)
    for credential in seam.acs.credentials.list():
        seam.acs.credentials.delete(acs_credential_id=credential.acs_credential_id)
    return seam


def waiting_credential(sandbox: Sandbox, **changes: object) -> Any:
    """Made as an integrator makes it; `card_number` and `external_type` are the sandbox's own parameters."""
    system = sdk(sandbox).acs.systems.list()[0]
    user = sdk(sandbox).acs.users.list(acs_system_id=system.acs_system_id)[0]
    body = {
        "access_method": "card",
        "acs_user_id": user.acs_user_id,
        "external_type": "hid_credential",
        "card_number": NUMBER,
        "starts_at": clock.to_text(clock.now()),
        "ends_at": clock.to_text(clock.now() + timedelta(days=2)),
    } | changes
    made = sdk(sandbox).client.post("/acs/credentials/create", json=body)
    return get(sandbox, made["acs_credential"]["acs_credential_id"])


def get(sandbox: Sandbox, acs_credential_id: str) -> Any:
    return sdk(sandbox).acs.credentials.get(acs_credential_id=acs_credential_id)


def is_issued(sandbox: Sandbox, acs_credential_id: str) -> bool:
    return bool(get(sandbox, acs_credential_id).is_issued)


def events(sandbox: Sandbox, acs_credential_id: str) -> list[str]:
    found = sdk(sandbox).events.list(since="2020-01-01T00:00:00Z", acs_credential_id=acs_credential_id)
    return [event.event_type for event in found]


@pytest.fixture
def gate() -> Gate:
    gate = Gate()
    gate.is_open.set()
    return gate


@pytest.fixture
def sandbox(tmp_path: Path, gate: Gate) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path / "service.sqlite3", cards=0, wrap=gate.wrap) as sandbox:
        empty(sandbox)
        yield sandbox
        gate.is_open.set()


@pytest.fixture
def daemon(tmp_path: Path, sandbox: Sandbox, pcscd: Pcscd) -> Iterator[Daemon]:
    with running_daemon(tmp_path, sandbox.url, sandbox.key, encoder=ENCODER) as daemon:
        yield daemon


def settled(daemon: Daemon) -> bool:
    """The encoder wants the card to be taken away: it is done with it."""
    return bool(daemon.state()["encoders"][0]["take_the_card_away"])


def no_card(daemon: Daemon) -> bool:
    return not daemon.state()["encoders"][0]["card_here"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.promise(1)
def test_from_waiting_to_issued_to_reissued_to_scanned(
    kind: str, sandbox: Sandbox, daemon: Daemon, pcscd: Pcscd
) -> None:
    credential = waiting_credential(sandbox)
    assert [warning.warning_code for warning in credential.warnings] == ["waiting_to_be_issued"]
    card = SimulatedCard(fresh_card(kind))
    pcscd.put(card)

    until(lambda: is_issued(sandbox, credential.acs_credential_id), "the credential to be issued")
    issued = get(sandbox, credential.acs_credential_id)
    assert text_on(card.memory) == NUMBER == issued.card_number
    assert issued.warnings == []
    assert issued.issued_at
    assert events(sandbox, credential.acs_credential_id) == ["acs_credential.issued"]

    # Its access changes: the same card is to be written again, but not while it has not been taken away.
    sdk(sandbox).acs.credentials.update(
        acs_credential_id=credential.acs_credential_id, ends_at=clock.to_text(clock.now() + timedelta(days=3))
    )
    assert "needs_to_be_reissued" in str(get(sandbox, credential.acs_credential_id).warnings)
    until(lambda: (job := daemon.job(credential.acs_credential_id)) and job["state"] == "claimed", "the job")
    assert settled(daemon)
    pcscd.take()
    until(lambda: no_card(daemon), "the card to be seen leaving")
    pcscd.put(card)
    until(lambda: get(sandbox, credential.acs_credential_id).warnings == [], "the credential to be reissued")
    assert events(sandbox, credential.acs_credential_id) == ["acs_credential.issued", "acs_credential.reissued"]
    assert text_on(card.memory) == NUMBER

    code, scanned = daemon.command("scan")
    assert (code, scanned["ok"], scanned["match"]) == (0, True, True)
    assert scanned["acs_credential_on_encoder"]["card_number"] == NUMBER
    assert scanned["acs_credential_on_seam"]["acs_credential_id"] == credential.acs_credential_id
    assert scanned["warnings"] == []

    # Another card, with a number that the service doesn't have.
    other = SimulatedCard(fresh_card(kind))
    written_elsewhere(other, daemon, pcscd, sandbox)
    code, scanned = daemon.command("scan")
    assert (code, scanned["match"]) == (0, False)
    assert [warning["warning_code"] for warning in scanned["warnings"]] == ["acs_credential_on_seam_not_found"]


def written_elsewhere(card: SimulatedCard, daemon: Daemon, pcscd: Pcscd, sandbox: Sandbox) -> None:
    """Put down a card whose credential has been deleted at the service since it was written."""
    gone = waiting_credential(sandbox, card_number="999000111")
    pcscd.take()
    until(lambda: no_card(daemon), "the card to be seen leaving")
    pcscd.put(card)
    until(lambda: is_issued(sandbox, gone.acs_credential_id), "the other credential to be issued")
    sdk(sandbox).acs.credentials.delete(acs_credential_id=gone.acs_credential_id)


@pytest.mark.promise(1)
def test_a_credential_without_a_number_gets_the_cards_uid(sandbox: Sandbox, daemon: Daemon, pcscd: Pcscd) -> None:
    credential = waiting_credential(sandbox, card_number=None)
    card = SimulatedCard(fresh_card("NTAG213"))
    pcscd.put(card)
    until(lambda: is_issued(sandbox, credential.acs_credential_id), "the credential to be issued")
    uid = card.memory.uid().hex()
    assert get(sandbox, credential.acs_credential_id).card_number == uid == text_on(card.memory)


def test_no_apdu_more_than_the_job_needs(sandbox: Sandbox, daemon: Daemon, pcscd: Pcscd) -> None:
    credential = waiting_credential(sandbox)
    assert len(NUMBER) == 16
    card = SimulatedCard(fresh_card("NTAG213"))
    pcscd.put(card)
    until(lambda: is_issued(sandbox, credential.acs_credential_id), "the credential to be issued")
    assert len(card.apdus) <= 12, [apdu.hex() for apdu, _ in card.apdus]


@pytest.mark.promise(2, 3)
def test_kill_between_the_last_write_and_the_report(sandbox: Sandbox, daemon: Daemon, pcscd: Pcscd, gate: Gate) -> None:
    gate.is_open.clear()
    credential = waiting_credential(sandbox)
    card = SimulatedCard(fresh_card("NTAG213"))
    pcscd.put(card)
    assert gate.reached.wait(20)
    daemon.kill()
    assert text_on(card.memory) == NUMBER
    assert not is_issued(sandbox, credential.acs_credential_id)
    gate.is_open.set()
    daemon.start()
    until(lambda: (job := daemon.job(credential.acs_credential_id)) and job["state"] == "reported", "the report")
    assert events(sandbox, credential.acs_credential_id) == ["acs_credential.issued"]
    assert len(set(gate.keys)) == 1


@pytest.mark.parametrize("last_apdus", [0, 1, 2, 3, 5])
@pytest.mark.promise(1, 2, 5)
def test_kill_in_the_middle_of_writing(
    last_apdus: int, sandbox: Sandbox, daemon: Daemon, pcscd: Pcscd, gate: Gate
) -> None:
    """Killed at an APDU near the end: after the restart the card is read first, finished, and reported once."""
    credential = waiting_credential(sandbox)
    kill_at = 11 - last_apdus

    def kill(index: int, apdu: bytes) -> bytes | None:
        if index == kill_at:
            daemon.kill()
        return None

    card = SimulatedCard(fresh_card("NTAG213"), fault=kill)
    pcscd.put(card)
    until(lambda: len(card.apdus) > kill_at, "the agent to be killed")
    writes = sum(apdu[1] == 0xD6 for apdu, _ in card.apdus)
    daemon.start()
    until(lambda: is_issued(sandbox, credential.acs_credential_id), "the credential to be issued")
    assert text_on(card.memory) == NUMBER
    assert events(sandbox, credential.acs_credential_id) == ["acs_credential.issued"]
    assert len(gate.keys) == 1
    # Finished in one more go at most: nothing when only the read-back was missing.
    assert sum(apdu[1] == 0xD6 for apdu, _ in card.apdus) - writes <= (0 if last_apdus < 3 else 7)


def refused_as(daemon: Daemon, words: str) -> dict[str, Any] | None:
    outcome: dict[str, Any] | None = daemon.state()["encoders"][0]["last_outcome"]
    return outcome if outcome and outcome["error"] and words in outcome["error"]["message"] else None


@pytest.mark.promise(5)
def test_a_card_that_is_pulled_away_has_to_come_back(sandbox: Sandbox, daemon: Daemon, pcscd: Pcscd) -> None:
    credential = waiting_credential(sandbox)

    def pull(index: int, apdu: bytes) -> bytes | None:
        if index == 6:
            raise PulledAway
        return None

    card = SimulatedCard(fresh_card("NTAG213"), fault=pull)
    pcscd.put(card)
    until(
        lambda: (
            (job := daemon.job(credential.acs_credential_id))
            and job["state"] == "writing"
            and job["code"] == "encoding_interrupted"
        ),
        "the interruption",
    )
    assert text_on(card.memory) is None
    other = SimulatedCard(fresh_card("NTAG213"))
    until(lambda: no_card(daemon), "the card to be seen leaving")
    pcscd.put(other)
    outcome = until(lambda: refused_as(daemon, "this is another card"), "the other card to be refused")
    assert outcome["error"]["type"] == "encoding_interrupted"
    assert text_on(other.memory) is None
    assert all(apdu[1] != 0xD6 for apdu, _ in other.apdus)
    assert card.memory.uid().hex() in outcome["error"]["message"]
    assert not is_issued(sandbox, credential.acs_credential_id)
    pcscd.take()
    until(lambda: no_card(daemon), "the other card to be seen leaving")
    pcscd.put(SimulatedCard(card.memory))
    until(lambda: is_issued(sandbox, credential.acs_credential_id), "the credential to be issued")
    assert text_on(card.memory) == NUMBER


@pytest.mark.promise(2)
def test_writing_goes_on_while_the_service_is_away(tmp_path: Path, pcscd: Pcscd) -> None:
    path = tmp_path / "service.sqlite3"
    with running_sandbox(path, cards=0) as sandbox:
        empty(sandbox)
        port = int(sandbox.url.rpartition(":")[2])
        credentials = [waiting_credential(sandbox, card_number=f"70000{n}") for n in range(3)]
        daemon = Daemon(tmp_path, sandbox.url, sandbox.key, encoder=ENCODER)
        daemon.start()
        until(lambda: daemon.state()["jobs"]["claimed"] == 3, "the work to be claimed")
    try:
        until(lambda: daemon.state()["service"]["up"] is False, "the outage to be seen")
        cards = [SimulatedCard(fresh_card("NTAG213")) for _ in credentials]
        for n, card in enumerate(cards, start=1):
            pcscd.put(card)
            until(lambda n=n: daemon.state()["jobs"]["verified"] == n, "a card to be written")
            pcscd.take()
            until(lambda: no_card(daemon), "the card to be seen leaving")
        assert sorted(filter(None, (text_on(card.memory) for card in cards))) == ["700000", "700001", "700002"]
        assert daemon.state()["reports"]["unfinished"] == 3
        with running_sandbox(path, cards=0, port=port) as sandbox:
            until(lambda: all(is_issued(sandbox, c.acs_credential_id) for c in credentials), "the reports", 60)
            for credential in credentials:
                assert events(sandbox, credential.acs_credential_id) == ["acs_credential.issued"]
    finally:
        daemon.kill()


def test_one_reader_is_one_encoders(tmp_path: Path, sandbox: Sandbox, pcscd: Pcscd) -> None:
    second = f'{ENCODER}\n[[encoder]]\nname = "Second"\n{ENCODER}'
    with running_daemon(tmp_path, sandbox.url, sandbox.key, encoder=second) as daemon:
        until(lambda: any(e["trouble"] for e in daemon.state()["encoders"]), "the second one to be refused")
        online = [encoder["name"] for encoder in daemon.state()["encoders"] if encoder["online"]]
        (trouble,) = [encoder["trouble"] for encoder in daemon.state()["encoders"] if encoder["trouble"]]
        assert len(online) == 1
        assert f"'{online[0]}' uses already" in trouble["message"]


@pytest.mark.promise(4, 6)
def test_somebodys_live_card_is_not_overwritten(sandbox: Sandbox, daemon: Daemon, pcscd: Pcscd) -> None:
    first = waiting_credential(sandbox)
    card = SimulatedCard(fresh_card("NTAG213"))
    pcscd.put(card)
    until(lambda: is_issued(sandbox, first.acs_credential_id), "the credential to be issued")
    second = waiting_credential(sandbox, card_number="31337")
    pcscd.take()
    until(lambda: no_card(daemon), "the card to be seen leaving")
    pcscd.put(card)
    until(lambda: settled(daemon), "the card to be refused")
    outcome = daemon.state()["encoders"][0]["last_outcome"]
    assert (outcome["ok"], outcome["error"]["type"]) == (False, "incompatible_card_format")
    assert text_on(card.memory) == NUMBER
    assert not is_issued(sandbox, second.acs_credential_id)
    # The person at the desk may say so: then the card is the second one's, and the audit trail says that it was.
    code, answer = daemon.command("encode", second.acs_credential_id, "--overwrite")
    assert (code, answer["ok"]) == (0, True)
    assert text_on(card.memory) == "31337"
    overwritten = [e["detail"].get("overwritten_acs_credential_id") for e in daemon.command("audit")[1]["entries"]]
    assert first.acs_credential_id in overwritten


@pytest.mark.promise(4)
def test_a_second_card_needs_a_person_and_a_reason(sandbox: Sandbox, daemon: Daemon, pcscd: Pcscd) -> None:
    credential = waiting_credential(sandbox, card_number=None)
    first, second = (SimulatedCard(fresh_card("NTAG213")) for _ in range(2))
    pcscd.put(first)
    until(lambda: is_issued(sandbox, credential.acs_credential_id), "the credential to be issued")
    pcscd.take()
    until(lambda: no_card(daemon), "the card to be seen leaving")
    pcscd.put(second)
    code, answer = daemon.command("encode", credential.acs_credential_id)
    assert (code, answer["error"]["type"]) == (12, "credential_cannot_be_reissued")
    code, answer = daemon.command("reencode", credential.acs_credential_id, "--reason", "lost")
    assert (code, answer["error"]["type"]) == (12, "credential_cannot_be_reissued")
    assert text_on(second.memory) is None
    code, answer = daemon.command("reencode", credential.acs_credential_id, "--reason", "lost", "--replace-card")
    assert (code, answer["ok"]) == (0, True), answer
    uid = second.memory.uid().hex()
    assert get(sandbox, credential.acs_credential_id).card_number == uid == text_on(second.memory)
    assert events(sandbox, credential.acs_credential_id) == ["acs_credential.issued", "acs_credential.reissued"]
    pcscd.put(first)
    code, scanned = daemon.command("scan")
    assert (code, scanned["match"]) == (0, False)
    assert "Take it back" in scanned["message"]
