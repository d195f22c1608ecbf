from __future__ import annotations

import threading
from time import monotonic

import pytest
from pydantic import ValidationError

from drivers.content import CardNumber
from drivers.encoder import CardState, EncodeRequest, FoundCard, Progress, Stage
from drivers.errors import (
    EncoderError,
    EncoderNotOnline,
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
)
from drivers.port.finding import SerialPort
from drivers.port.simulated import Line
from drivers.twn4 import driver
from drivers.twn4.driver import Twn4Encoder, Twn4Options
from drivers.twn4.simulator import PulledAway, SimulatedTwn4
from drivers.virtual.cards import Effect, Operation
from tests.drivers.twn4.conftest import impatient, options
from tests.rig.cards import fresh_card, text_on
from tests.rig.idling import wakes_while_waiting

pytestmark = pytest.mark.timeout(60, method="thread")

NUMBER = "4071882619550042"


def request(bind=lambda _: None, progress=lambda _: None, number=NUMBER):
    return EncodeRequest(CardNumber(number), bind, progress)


@pytest.fixture
def uid(encoder, feeder):
    """A card lies there and is announced."""
    uid = feeder.put()
    assert encoder.wait_for_card()
    return uid


def asked(device: SimulatedTwn4) -> list[str]:
    return [command.hex().upper() for command, _ in device.commands]


def test_a_new_card_takes_no_more_exchanges_than_needed(device, line, encoder, uid):
    before, lines_before = len(device.commands), len(line.traffic)
    encoder.encode(request())
    sent = asked(device)[before:]
    reads = [command for command in sent if command.startswith("0C00")]
    writes = [command for command in sent if command.startswith("0C01")]
    assert (len(reads), len(writes), len(sent)) == (3, 7, 13)
    assert sent[:3] == ["050010", "1205", "0C0003"]
    assert sent[-1] == "050010"
    assert len(line.traffic) - lines_before == 2 * 13


def test_opening_says_what_to_look_for_and_lights_nothing(device, encoder):
    assert asked(device) == ["0004FF", "05020000000001000000", "0400070000", "050010"]
    assert device.lights == 0


@pytest.mark.parametrize("kind", ["Ultralight", "Ultralight EV1", "Ultralight EV1 128", "NTAG216", "MIFARE Classic 4K"])
def test_other_kinds_are_encoded_too(encoder, feeder, uid):
    assert encoder.encode(request()).uid == uid
    assert feeder.holds(uid) == NUMBER


@pytest.mark.parametrize("kind", ["NTAG216"])
def test_pages_that_no_ultralight_has_are_asked_for_as_an_ntags(device, encoder, feeder, uid):
    long = "0123456789ABCDEF" * 20
    encoder.encode(request(number=long))
    assert feeder.holds(uid) == long
    high = {
        command[:4] for command in asked(device) if command[:2] in ("0C", "20") and int(command[4:6] or "0", 16) > 43
    }
    assert high == {"2000", "2001"}


@pytest.mark.parametrize("kind", ["Ultralight EV1", "MIFARE Classic 1K"])
def test_a_card_never_formatted_is_formatted_where_configured(line, device, kind):
    card = fresh_card(kind, formatted=False)
    encoder = Twn4Encoder("Front desk", options(line, device, format_blank=True))
    encoder.open()
    try:
        device.put(card)
        assert encoder.wait_for_card()
        encoder.encode(request())
    finally:
        encoder.close()
    assert text_on(card) == NUMBER


@pytest.mark.parametrize("unknown", [frozenset(), frozenset({b"\x0c\x09"})], ids=["answers", "unknown function"])
@pytest.mark.parametrize("kind", ["Ultralight", "Ultralight EV1 128"])
def test_a_tags_version_is_asked_for_where_it_can_be_had(line, device, kind, unknown):
    """Which tag it is, is needed only for its size: a tag, or a firmware, that doesn't say counts as the smallest."""
    device.unknown = unknown
    encoder = Twn4Encoder("Front desk", options(line, device))
    encoder.open()
    try:
        device.put(fresh_card(kind, formatted=False))
        found = encoder.scan()
    finally:
        encoder.close()
    tells = kind == "Ultralight EV1 128" and not unknown
    assert found.medium == ("Ultralight EV1" if tells else "Ultralight (48 bytes)")
    assert found.state is CardState.BLANK


@pytest.mark.parametrize(("sak", "name"), [(0x20, "DESFire"), (0x09, "Mini"), (0x53, "SAK 53")])
def test_nothing_is_done_to_a_card_of_another_kind(device, encoder, sak, name):
    card = fresh_card("NTAG213")
    before = bytes(card.memory)
    device.put(card, sak=sak)
    assert encoder.wait_for_card()
    device.commands.clear()
    with pytest.raises(IncompatibleCardFormat, match=name):
        encoder.encode(request())
    assert asked(device) == ["050010", "1205"]
    assert bytes(card.memory) == before


def test_infineons_classic_is_one(device, encoder):
    card = fresh_card("MIFARE Classic 1K")
    device.put(card, sak=0x88)
    assert encoder.wait_for_card()
    encoder.encode(request())
    assert text_on(card) == NUMBER


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("at", range(13))
@pytest.mark.promise(5)
def test_a_card_pulled_at_any_exchange_is_noticed(device, encoder, at, carried_out):
    memory = fresh_card("NTAG213")
    device.put(memory)
    assert encoder.wait_for_card()
    first = len(device.commands)

    def pull(index: int, command: bytes) -> None:
        if index == first + at:
            raise PulledAway(carried_out=carried_out)

    device.fault = pull
    bound = []
    with pytest.raises(EncodingInterrupted if at >= 3 else NoCredentialOnEncoder):
        encoder.encode(request(bind=bound.append))
    assert len(bound) == (at >= 3)
    assert encoder.wait_for_removal()
    if at < 9:
        assert text_on(memory) is None
    device.put(memory)
    assert encoder.wait_for_card()
    encoder.encode(request())
    assert text_on(memory) == NUMBER


@pytest.mark.parametrize("effect", [Effect.HALF, Effect.LATE, Effect.SWALLOW, Effect.REFUSE])
@pytest.mark.parametrize("at", range(7))
@pytest.mark.promise(1, 5)
def test_a_card_torn_at_any_write_never_looks_finished(device, encoder, at, effect):
    memory = fresh_card("NTAG213")
    device.put(memory)
    assert encoder.wait_for_card()
    seen = iter(range(100))
    memory.fault = lambda operation: effect if operation.name == "write" and next(seen) == at else None
    with pytest.raises((EncodingInterrupted, IncompatibleCardFormat)) as caught:
        encoder.encode(request())
    # Only the last write makes it read as a number, and if that one was lost on its way back, the card is whole.
    whole = NUMBER if at == 6 and effect is Effect.LATE else None
    assert text_on(memory) == whole
    if whole is not None or effect in (Effect.HALF, Effect.LATE):
        assert caught.type is EncodingInterrupted
    memory.fault = None
    device.put(memory)
    assert encoder.wait_for_card()
    encoder.encode(request())
    assert text_on(memory) == NUMBER


@pytest.mark.promise(1, 6)
@pytest.mark.parametrize("kind", ["NTAG213", "MIFARE Classic 1K"])
def test_a_like_card_put_there_in_the_middle_is_left_alone(device, encoder, feeder, uid, kind):
    other = fresh_card(kind)
    before = bytes(other.memory)

    def swap(_: FoundCard) -> None:
        device.put(other)

    with pytest.raises((NoCredentialOnEncoder, EncodingInterrupted)):
        encoder.encode(request(bind=swap))
    assert bytes(other.memory) == before
    assert feeder.holds(uid) is None
    assert encoder.wait_for_removal()


@pytest.mark.parametrize("kind", ["NTAG213", "MIFARE Classic 1K"])
def test_two_cards_in_the_field(device, encoder, feeder, kind, cases):
    """After a refusal the tag is selected anew, and the other one may answer: it is not taken for the first."""
    mine, other = fresh_card(kind), fresh_card(kind)
    start, untouched = bytes(mine.memory), bytes(other.memory)
    device.put(mine)
    assert encoder.wait_for_card()
    encoder.encode(request())
    count = len(mine.operations)
    for at in range(1, count):
        mine.memory[:] = start
        device.put(mine)
        assert encoder.wait_for_card()
        mine.operations.clear()

        def refuse(operation: Operation, at: int = at) -> Effect | None:
            if len(mine.operations) != at + 1 or operation.name == "uid":
                return None
            device.put(other, mine)  # as the reader picks it when it searches next
            return Effect.REFUSE

        mine.fault = refuse
        try:
            encoder.encode(request())
        except (NoCredentialOnEncoder, EncodingInterrupted):
            assert encoder.wait_for_removal()
        mine.fault = None
        assert bytes(other.memory) == untouched
    cases(count - 1)


def test_a_card_exchanged_between_two_calls_is_met_afresh(encoder, feeder, uid):
    encoder.encode(request())
    feeder.take()
    other = feeder.put()
    assert encoder.encode(request()).uid == other
    assert feeder.holds(other) == NUMBER


@pytest.mark.parametrize("kind", ["MIFARE Classic 1K"])
def test_a_refused_key_leaves_the_card_usable(device, encoder, kind):
    card = fresh_card(kind, formatted=False)
    device.put(card)
    assert encoder.wait_for_card()
    with pytest.raises(IncompatibleCardFormat):
        encoder.encode(request())
    assert b"\x00\x00" in [answer for command, answer in device.commands if command[:2] == b"\x0b\x00"]
    assert encoder.scan().uid == card.uid().hex()


@pytest.mark.parametrize("kind", ["MIFARE Classic 1K"])
def test_a_classic_is_logged_in_again_after_it_was_searched(device, encoder, feeder, uid):
    """What was written is read back wrong: to look at it again, the UID is asked, which logs the card out."""
    card = feeder.card(uid)
    writes = []

    def swallow_the_last(operation: Operation) -> Effect | None:
        if operation.name == "write":
            writes.append(operation)
        return Effect.SWALLOW if operation.name == "write" and len(writes) == 2 else None

    card.fault = swallow_the_last
    with pytest.raises((EncodingInterrupted, IncompatibleCardFormat)) as caught:
        encoder.encode(request())
    assert "could not be read again" not in str(caught.value)
    card.fault = None
    encoder.encode(request())
    assert feeder.holds(uid) == NUMBER


def test_a_locked_page_is_an_incompatible_card(encoder, feeder, uid):
    feeder.card(uid).lock(6)
    with pytest.raises(IncompatibleCardFormat):
        encoder.encode(request())
    assert feeder.holds(uid) is None


@pytest.mark.parametrize("answer", ["01", "02", "05", "00", "0000", "0002", "000100", "0001" + "00" * 15])
@pytest.mark.promise(1, 5, 7)
def test_every_wrong_answer_to_every_command(device, encoder, answer, cases):
    """Whatever the reader says instead, the card is as it was, or blank, or whole; and the next try ends well."""
    memory = fresh_card("NTAG213")
    start = bytes(memory.memory)
    device.put(memory)
    for at in range(13):
        memory.memory[:] = start
        assert encoder.wait_for_card()
        first = len(device.commands)
        device.fault = lambda index, command, lied=first + at: bytes.fromhex(answer) if index == lied else None
        error = None
        try:
            encoder.encode(request())
        except EncoderError as raised:
            error = raised
        held = text_on(memory)
        if error is None:
            assert held == NUMBER
        else:
            assert NUMBER not in f"{error} {error.data}"
            assert error.next_step
            if isinstance(error, EncodingInterrupted):
                assert at >= 3
                assert held in (None, NUMBER)
            else:
                assert held is None
        device.fault = lambda index, command: None
        assert encoder.wait_for_card()
        encoder.encode(request())
        assert text_on(memory) == NUMBER
    cases(13)


def test_what_is_only_read_is_asked_again_and_what_is_written_is_not(device, encoder, uid):
    first = len(device.commands)
    device.fault = lambda index, command: b"\x05" if index == first + 2 else None
    encoder.encode(request())
    sent = asked(device)[first:]
    assert sent.count("0C0003") == 2
    device.commands.clear()
    device.fault = lambda index, command: b"\x05" if command[:2] == b"\x0c\x01" else None
    with pytest.raises(EncodingInterrupted):
        encoder.encode(request(number="8"))
    assert sum(command.startswith("0C01") for command in asked(device)) == 1


NOT_NEEDED = frozenset(bytes.fromhex(function) for function in ("0400", "0402", "0403", "0407", "0502", "1205"))


@pytest.mark.parametrize("kind", ["NTAG213", "Ultralight EV1 128", "MIFARE Classic 1K", "MIFARE Classic 4K"])
@pytest.mark.parametrize("says", [b"\x01", b"\x04", b"\x03", b"\x00\x07", b""], ids=bytes.hex)
def test_a_firmware_with_nothing_but_what_cards_need_will_do(device, line, kind, says):
    """Lights, sounds, tag types and the SAK can be done without, however a firmware says that it lacks them."""
    device.fault = lambda index, command: says if command[:2] in NOT_NEEDED else None
    line.mangle = lambda answer: b"" if answer == b"\r" else answer
    encoder = Twn4Encoder("Front desk", options(line, device, timeout_s=10 if says else 0.3))
    encoder.open()
    for number in (NUMBER, "5071882619550042"):
        card = fresh_card(kind)
        device.put(card)
        device.commands.clear()
        assert encoder.wait_for_card()
        encoder.encode(request(number=number))
        assert encoder.scan().card_number == number == text_on(card)
        encoder.signal("done")
    assert not {command[:2] for command, _ in device.commands} & NOT_NEEDED
    encoder.close()


@pytest.mark.parametrize("says", ["0000", "0001"])
def test_what_only_shows_or_sets_up_may_be_acknowledged_by_a_bool(device, line, says):
    acknowledged = NOT_NEEDED - {b"\x12\x05"}
    device.fault = lambda index, command: bytes.fromhex(says) if command[:2] in acknowledged else None
    encoder = Twn4Encoder("Front desk", options(line, device))
    encoder.open()
    card = fresh_card("NTAG213")
    device.put(card)
    assert encoder.wait_for_card()
    encoder.encode(request())
    encoder.signal("done")
    assert asked(device).count("0004FF") == 1
    assert asked(device)[-2:] == ["040202", "040764600964000000"]
    encoder.close()


def test_without_a_sak_a_tag_that_is_exchanged_is_not_taken_for_another_kind(device, encoder):
    device.unknown = frozenset({b"\x12\x05"})
    ntag, classic = fresh_card("NTAG213"), fresh_card("MIFARE Classic 1K")
    device.put(ntag)
    assert encoder.wait_for_card()
    device.fault = lambda index, command: device.put(classic) if command[:2] == b"\x0c\x00" else None
    with pytest.raises(NoCredentialOnEncoder):
        encoder.encode(request())


def test_a_reader_that_started_anew_in_silence_is_set_up_again(device, encoder):
    """It would look for tags of all kinds then; the first that isn't ISO 14443 A tells."""
    device.restart()
    first = len(device.commands)
    device.fault = lambda index, command: bytes.fromhex("000140280501020304 05") if index == first else None
    card = fresh_card("NTAG213")
    device.put(card)
    assert encoder.wait_for_card()
    assert asked(device)[first:][:4] == ["050010", "0004FF", "05020000000001000000", "0400070000"]
    encoder.encode(request())
    assert text_on(card) == NUMBER


def test_a_card_that_comes_back_is_noticed_if_it_was_missed_once(device, encoder, feeder, uid):
    device.fault = lambda index, command: b"\x00\x00" if command == bytes.fromhex("0C0003") else None
    feeder.take()
    with pytest.raises(NoCredentialOnEncoder):
        encoder.scan()
    device.fault = lambda index, command: None
    feeder.put_again(uid)
    assert encoder.wait_for_removal()
    assert encoder.wait_for_card()
    assert encoder.wait_for_card()


def test_lights_and_beeps_tell_the_outcome_until_the_card_is_taken_away(device, encoder, feeder, uid):
    encoder.encode(request())
    encoder.signal("done")
    assert (device.lights, len(device.beeps)) == (2, 1)
    encoder.signal("failed")
    assert (device.lights, len(device.beeps)) == (1, 3)
    feeder.take()
    assert encoder.wait_for_removal()
    assert device.lights == 0


def test_a_reader_without_lights_is_as_good(line):
    device = SimulatedTwn4(unknown=frozenset({b"\x04\x00", b"\x04\x02", b"\x04\x07"}))
    with Line.pty(device) as line:
        encoder = Twn4Encoder("Front desk", options(line, device))
        encoder.open()
        card = fresh_card("NTAG213")
        device.put(card)
        assert encoder.wait_for_card()
        encoder.signal("failed")
        encoder.encode(request())
        encoder.close()
    assert text_on(card) == NUMBER


@pytest.mark.parametrize("when", ["waiting for a card", "waiting for removal", "encoding", "signalling"])
def test_an_unplugged_reader_is_not_online(line, encoder, feeder, uid, when):
    if when == "encoding":
        with pytest.raises(EncodingInterrupted):
            encoder.encode(request(progress=lambda at: line.unplug() if at == Progress(Stage.WRITING, 2, 7) else None))
    elif when == "signalling":
        line.unplug()
        encoder.signal("done")
    elif when == "waiting for a card":
        feeder.take()
        pulling = threading.Timer(0.1, line.unplug)
        pulling.start()
        with pytest.raises(EncoderNotOnline):
            encoder.wait_for_card()
        pulling.join()
    else:
        line.unplug()
        with pytest.raises(EncoderNotOnline):
            encoder.wait_for_removal()
    with pytest.raises(EncoderNotOnline):
        encoder.wait_for_card()
    encoder.close()
    assert encoder.device == ""
    with pytest.raises(EncoderNotOnline, match="not open"):
        encoder.wait_for_card()
    line.plug()
    encoder.open()
    feeder.put_again(uid)
    assert encoder.wait_for_card()
    encoder.encode(request())
    assert feeder.holds(uid) == NUMBER


def test_the_way_back_is_awaited_after_a_first_look(line, encoder):
    line.unplug()
    encoder.close()
    began = monotonic()
    encoder.wait_for_device(30)  # at once: the reader was there a moment ago
    assert monotonic() - began < 15
    with pytest.raises(EncoderNotOnline):
        encoder.open()
    began = monotonic()
    encoder.wait_for_device(0.2)
    assert monotonic() - began >= 0.2


def test_a_reader_that_will_not_search_is_not_opened_again_at_once(device, encoder):
    encoder.close()
    encoder.wait_for_device(0)  # the one look at once
    device.unknown = frozenset({b"\x05\x00"})
    with pytest.raises(EncoderError, match="lacks the function 0500"):
        encoder.open()
    assert encoder.device == ""
    began = monotonic()
    encoder.wait_for_device(0.2)
    assert monotonic() - began >= 0.2


def test_a_silent_reader_is_not_online_while_it_is_waited_for(line, encoder):
    line.mangle = lambda answer: b""
    with impatient(encoder._reader), pytest.raises(EncoderNotOnline, match="doesn't answer"):
        encoder.wait_for_card()


def test_a_wait_costs_next_to_nothing(encoder):
    assert wakes_while_waiting(encoder) < 40


def test_attached_readers_are_those_with_elatecs_numbers(monkeypatch):
    path = "/dev/serial/by-id/usb-OEM_RFID_Device__COM_-if00"
    ports = [
        SerialPort("/dev/ttyUSB0", "/dev/ttyUSB0", 0x0403, 0x6001, "A", "FT232R"),
        SerialPort(path, "/dev/ttyACM0", 0x09D8, 0x0420, None, "RFID Device (COM)"),
    ]
    monkeypatch.setattr(driver, "serial_ports", lambda: ports)
    (found,) = Twn4Encoder.attached()
    assert found.options == {"port": path}
    assert path in found.device
    assert Twn4Options.model_validate(found.options).port == path


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, {}),
        ({"crc": True}, {"crc": True}),
        ({"framing": "binary"}, None),
        ({"version": "X1"}, None),
        ({"simple_protocol": False}, None),
    ],
    ids=str,
)
def test_a_probe_finds_readers_that_speak_ascii(monkeypatch, settings, options):
    monkeypatch.setattr(driver, "_STRANGER_S", 1.0 if options is not None else 0.1)
    with Line.pty(SimulatedTwn4(**settings)) as line:
        found = Twn4Encoder.probe(line.port)
        assert (None if found is None else found.options) == (
            None if options is None else {"port": line.port} | options
        )
        if found is not None:
            encoder = Twn4Encoder("found", Twn4Options.model_validate(found.options))
            encoder.open()
            encoder.close()


def test_a_probe_never_raises():
    assert Twn4Encoder.probe("socket://127.0.0.1:1") is None
    assert Twn4Encoder.probe("nonsense") is None


def test_keys_and_numbers_are_not_shown_in_errors():
    with pytest.raises(ValidationError) as caught:
        Twn4Options(port="/dev/ttyACM0", keys={"mad_key_a": "NOT-A-KEY-0000"})
    assert "NOT-A-KEY" not in str(caught.value)
