import threading
from time import monotonic

import pytest

from drivers.content import CardNumber
from drivers.encoder import EncodeRequest, FoundCard, Progress, Stage
from drivers.errors import (
    EncoderCommunicationTimeout,
    EncoderNotOnline,
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
)
from drivers.pcsc import driver
from drivers.pcsc.driver import PcscEncoder, PcscOptions
from drivers.pcsc.simulator import ATRS, PulledAway, SimulatedCard
from drivers.pcsc.winscard import Context, PcscError
from tests.drivers.pcsc.conftest import ACR122U
from tests.rig.cards import fresh_card, text_on
from tests.rig.idling import wakes_while_waiting
from tests.rig.rival import Rival, rival

pytestmark = [pytest.mark.pcscd, pytest.mark.timeout(60, method="thread")]

NUMBER = "4071882619550042"


def request(bind=lambda _: None, progress=lambda _: None, number=NUMBER):
    return EncodeRequest(CardNumber(number), bind, progress)


@pytest.fixture
def uid(encoder, feeder):
    """A card lies there and is announced."""
    uid = feeder.put()
    assert encoder.wait_for_card()
    return uid


def test_a_card_takes_no_more_exchanges_than_needed(encoder, feeder, uid):
    encoder.encode(request())
    sent = [apdu.hex().upper() for apdu, _ in feeder.lying.apdus]
    reads = [apdu for apdu in sent if apdu.startswith("FFB0")]
    writes = [apdu for apdu in sent if apdu.startswith("FFD6")]
    assert (len(reads), len(writes), len(sent)) == (3, 7, 12)
    assert sent[0] == sent[-1] == "FFCA000000"


@pytest.mark.parametrize("kind", ["Ultralight EV1", "Ultralight EV1 128", "NTAG216", "MIFARE Classic 4K"])
def test_other_kinds_are_encoded_too(encoder, feeder, uid):
    assert encoder.encode(request()).uid == uid
    assert feeder.holds(uid) == NUMBER


def test_a_card_never_formatted_is_formatted_where_configured(pcscd, reader):
    card = fresh_card("MIFARE Classic 1K", formatted=False)
    encoder = PcscEncoder("Front desk", PcscOptions(reader=pcscd.readers[reader], format_blank=True))
    encoder.open()
    try:
        pcscd.put(SimulatedCard(card), reader)
        assert encoder.wait_for_card()
        encoder.encode(request())
    finally:
        encoder.close()
    assert text_on(card) == NUMBER


def test_nothing_is_done_to_a_card_of_another_kind(pcscd, encoder, reader):
    card = SimulatedCard(fresh_card("NTAG213"), atr=ATRS["DESFire"])
    pcscd.put(card, reader)
    assert encoder.wait_for_card()
    with pytest.raises(IncompatibleCardFormat, match="DESFire"):
        encoder.encode(request())
    assert card.apdus == []


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("at", range(12))
@pytest.mark.promise(5)
def test_a_card_pulled_at_any_exchange_is_noticed(pcscd, encoder, reader, at, carried_out):
    memory = fresh_card("NTAG213")

    def pull(index: int, apdu: bytes) -> None:
        if index == at:
            raise PulledAway(carried_out=carried_out)

    pcscd.put(SimulatedCard(memory, fault=pull), reader)
    assert encoder.wait_for_card()
    bound = []
    with pytest.raises(EncodingInterrupted if at >= 2 else NoCredentialOnEncoder):
        encoder.encode(request(bind=bound.append))
    assert len(bound) == (at >= 2)
    assert encoder.wait_for_removal()
    if at < 8:
        assert text_on(memory) is None
    pcscd.put(SimulatedCard(memory), reader)
    assert encoder.wait_for_card()
    encoder.encode(request())
    assert text_on(memory) == NUMBER


@pytest.mark.promise(1, 6)
def test_a_like_card_put_there_in_the_middle_is_left_alone(pcscd, encoder, reader, feeder, uid):
    other = fresh_card("NTAG213")
    before = bytes(other.memory)

    def swap(_: FoundCard) -> None:
        feeder.take()
        pcscd.put(SimulatedCard(other), reader)
        assert encoder_sees_card(pcscd, reader)

    with pytest.raises(NoCredentialOnEncoder):
        encoder.encode(request(bind=swap))
    assert bytes(other.memory) == before
    assert feeder.holds(uid) is None
    assert encoder.wait_for_removal()


def test_a_card_exchanged_between_two_calls_is_met_afresh(encoder, feeder, uid):
    encoder.encode(request())
    feeder.take()
    other = feeder.put()
    while encoder.wait_for_card() and encoder.scan().uid == uid:
        pass
    assert encoder.encode(request()).uid == other


def encoder_sees_card(pcscd, reader):
    watcher = PcscEncoder("second", PcscOptions(reader=pcscd.readers[reader]))
    watcher.open()
    try:
        return watcher.wait_for_card()
    finally:
        watcher.close()


def test_a_refused_key_leaves_the_card_usable(pcscd, encoder, reader):
    card = SimulatedCard(fresh_card("MIFARE Classic 1K", formatted=False), acr122u=True)
    pcscd.put(card, reader)
    assert encoder.wait_for_card()
    with pytest.raises(IncompatibleCardFormat):
        encoder.encode(request())
    assert b"\x63\x00" in [answer for _, answer in card.apdus]
    assert encoder.scan().uid == card.memory.uid().hex()


def test_a_locked_page_is_an_incompatible_card(encoder, feeder, uid):
    feeder.lying.memory.lock(6)
    with pytest.raises(IncompatibleCardFormat):
        encoder.encode(request())
    assert feeder.holds(uid) is None


@pytest.mark.parametrize("when", ["waiting", "card lies there"])
@pytest.mark.parametrize("crash", [False, True])
def test_a_pcscd_restart_is_survived(pcscd, encoder, feeder, crash, when):
    feeder.put()
    if when == "card lies there":
        assert encoder.wait_for_card()
        encoder.encode(request())
    pcscd.restart(9 if crash else 15)
    began = monotonic()
    with pytest.raises(EncoderNotOnline, match="pcscd"):
        encoder.wait_for_removal()
    encoder.close()
    encoder.wait_for_device(10)
    encoder.open()
    assert encoder.wait_for_card()
    encoder.encode(request(number="8"))
    assert monotonic() - began < 3


def test_the_way_back_is_awaited_while_pcscd_is_down(pcscd, encoder):
    waiting = threading.Timer(0.1, pcscd.stop)
    waiting.start()
    with pytest.raises(EncoderNotOnline):
        encoder.wait_for_card()
    waiting.join()
    encoder.close()
    with pytest.raises(EncoderNotOnline, match="pcscd"):
        encoder.open()
    encoder.close()
    began = monotonic()
    encoder.wait_for_device(0.3)
    assert monotonic() - began >= 0.3
    back = threading.Timer(0.3, pcscd.restart)
    back.start()
    encoder.wait_for_device(10)
    back.join()
    encoder.open()
    assert monotonic() - began < 3


def test_a_reader_that_is_plugged_in_again_is_found(pcscd):
    encoder = PcscEncoder("Front desk", PcscOptions(reader="Rig B 00 01"))
    pcscd.restart(readers=("Rig A",))
    with pytest.raises(EncoderNotOnline, match="Rig A 00 00"):
        encoder.open()
    encoder.close()
    plug = threading.Timer(0.2, pcscd.restart)
    plug.start()
    began = monotonic()
    encoder.wait_for_device(10)
    plug.join()
    encoder.open()
    assert monotonic() - began < 3
    assert encoder.device == "Rig B 00 01"
    encoder.close()


def test_waiting_for_a_device_can_be_interrupted(pcscd):
    encoder = PcscEncoder("Front desk", PcscOptions(reader="not there"))
    timer = threading.Timer(0.1, encoder.interrupt)
    timer.start()
    began = monotonic()
    encoder.wait_for_device(30)
    assert monotonic() - began < 2
    timer.join()


def test_two_readers_that_fit_are_named(pcscd):
    encoder = PcscEncoder("Front desk", PcscOptions(reader="rig *"))
    with pytest.raises(EncoderNotOnline, match="Rig A 00 00; Rig A 00 01; Rig B"):
        encoder.open()
    encoder.close()


def test_of_a_reader_with_several_slots_the_first_is_meant(pcscd):
    encoder = PcscEncoder("Front desk", PcscOptions(reader="rig a*"))
    encoder.open()
    assert encoder.device == "Rig A 00 00"
    encoder.close()
    began = monotonic()
    encoder.wait_for_device(10)
    assert monotonic() - began < 2
    encoder.close()


def test_a_process_with_exclusive_use_is_named(pcscd, encoder, reader, uid):
    with rival(pcscd.readers[reader], "exclusive") as other:
        with pytest.raises(EncoderNotOnline, match=rf"likely .*process {other.pid}\b"):
            encoder.encode(request())
        encoder.close()
        with pytest.raises(EncoderNotOnline, match=rf"process {other.pid}\b"):
            encoder.open()
        encoder.close()
        began = monotonic()
        encoder.wait_for_device(0.2)
        assert monotonic() - began >= 0.2
        leaving = threading.Timer(0.2, other.leave)
        leaving.start()
        encoder.wait_for_device(10)
        leaving.join()
        assert monotonic() - began < 3
    encoder.open()
    encoder.encode(request())


def test_a_process_that_keeps_a_transaction_is_named(pcscd, reader, feeder):
    encoder = PcscEncoder("Front desk", PcscOptions(reader=pcscd.readers[reader], timeout_s=0.3))
    encoder.open()
    uid = feeder.put()
    assert encoder.wait_for_card()
    with rival(pcscd.readers[reader], "transaction") as other:
        with pytest.raises(EncoderNotOnline, match=rf"process {other.pid}\b"):
            encoder.encode(request())
        encoder.close()
        with pytest.raises(EncoderNotOnline, match=rf"process {other.pid}\b"):
            encoder.open()
        encoder.close()
        leaving = threading.Timer(0.2, other.leave)
        leaving.start()
        began = monotonic()
        encoder.wait_for_device(10)
        leaving.join()
        assert monotonic() - began < 3
    encoder.open()
    encoder.encode(request())
    assert feeder.holds(uid) == NUMBER
    encoder.close()


def test_a_card_that_another_process_reset_is_encoded(pcscd, encoder, reader, feeder, uid):
    encoder.encode(request())
    with rival(pcscd.readers[reader], "reset"):
        pass
    assert encoder.encode(request(number="8")).uid == uid
    assert feeder.holds(uid) == "8"


def test_others_are_kept_off_during_an_encoding(pcscd, encoder, reader, feeder, uid):
    pcscd.slots[reader].delay_s = 0.03
    others = []

    def come(_: FoundCard) -> None:
        others.append(Rival(pcscd.readers[reader], "reset"))

    def look(step: Progress) -> None:
        if step.stage is Stage.VERIFYING and step.done == step.total:
            assert others[0].waits

    encoder.encode(request(come, look))
    others[0].has_got_it()
    others[0].leave()
    assert feeder.holds(uid) == NUMBER


def test_others_get_at_the_card_whatever_bind_raises(pcscd, encoder, reader, feeder, uid):
    def break_down(_: FoundCard) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        encoder.encode(request(break_down))
    other = PcscEncoder("other", PcscOptions(reader=pcscd.readers[reader], timeout_s=0.5))
    other.open()
    try:
        assert other.scan().uid == uid
    finally:
        other.close()
    assert encoder.encode(request()).uid == uid


def test_a_card_that_hangs_is_a_timeout_and_then_well_again(pcscd, reader, feeder):
    encoder = PcscEncoder("Front desk", PcscOptions(reader=pcscd.readers[reader], timeout_s=0.2))
    encoder.open()
    feeder.put()
    assert encoder.wait_for_card()
    pcscd.slots[reader].delay_s = 0.6
    with pytest.raises(EncoderCommunicationTimeout):
        encoder.encode(request())
    pcscd.slots[reader].delay_s = 0
    encoder.close()
    with pytest.raises(EncoderNotOnline, match="did not answer"):
        encoder.open()
    encoder.wait_for_device(5)
    encoder.open()
    assert encoder.encode(request()).card_number == NUMBER
    encoder.close()


def exchanges_of(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"{name} exchanges"]


def test_a_pcscd_that_answers_too_late_is_let_go_and_asked_again(pcscd, reader, monkeypatch):
    answer, released = threading.Event(), threading.Event()

    class LateContext(Context):
        def __init__(self) -> None:
            answer.wait()
            super().__init__()

        def release(self) -> None:
            super().release()
            released.set()

    encoder = PcscEncoder("Late", PcscOptions(reader=pcscd.readers[reader], timeout_s=0.05))
    with monkeypatch.context() as patch:
        patch.setattr(driver, "Context", LateContext)
        with pytest.raises(EncoderNotOnline, match="does not answer"):
            encoder.open()
        encoder.close()
        with pytest.raises(EncoderNotOnline, match=r"still busy\..*pcscd"):
            encoder.open()
        encoder.close()
        answer.set()
        assert released.wait(5)
    encoder.wait_for_device(5)
    encoder.open()
    encoder.close()
    for thread in exchanges_of("Late"):
        thread.join(5)
    assert not exchanges_of("Late")


def test_no_thread_is_left_of_an_open_that_failed(pcscd, reader, monkeypatch):
    def refuse() -> None:
        raise PcscError("SCardEstablishContext", 0x8010001D)

    monkeypatch.setattr(driver, "Context", refuse)
    encoder = PcscEncoder("Refused", PcscOptions(reader=pcscd.readers[reader]))
    with pytest.raises(EncoderNotOnline, match="pcscd"):
        encoder.open()
    encoder.close()
    for thread in exchanges_of("Refused"):
        thread.join(1)
    assert not exchanges_of("Refused")


def test_no_interrupt_is_lost(encoder):
    for round_ in range(500):
        interrupting = threading.Thread(target=encoder.interrupt)
        if round_ % 3:
            interrupting.start()
        else:
            encoder.interrupt()
        assert encoder.wait_for_card() is False
        if round_ % 3:
            interrupting.join()


def test_nothing_runs_while_the_encoder_waits(encoder):
    assert wakes_while_waiting(encoder) < 15


def test_an_acr122u_is_quiet_until_it_has_something_to_say(pcscd):
    reader = pcscd.empty_reader(ACR122U, count=2)
    card = SimulatedCard(fresh_card("NTAG213"), acr122u=True)
    encoder = PcscEncoder("Front desk", PcscOptions(reader=pcscd.readers[reader]))
    encoder.open()
    try:
        assert encoder.capabilities.signals
        pcscd.put(card, reader)
        assert encoder.wait_for_card()
        encoder.encode(request())
        encoder.signal("done")
        encoder.encode(request())
        encoder.signal("failed")
    finally:
        encoder.close()
    own = [apdu.hex() for apdu, _ in card.apdus if apdu[:2] == b"\xff\x00"]
    assert own == ["ff00520000", "ff0040280402000101", "ff0040500402020201"]
