import logging
import os
import threading

import ndef
import pytest

from drivers.content import CardNumber
from drivers.encoder import CardState, EncodeRequest
from drivers.errors import (
    EncoderNotOnline,
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
)
from drivers.nfc.driver import NfcEncoder, NfcOptions
from drivers.nfc.field import Nibble, Type2InField
from drivers.nfc.simulator import PulledAway
from drivers.nfc.type4 import Type4InField
from drivers.tags import TagOptions, Type2Tag, encode_tag, scan_tag
from drivers.virtual.cards import Effect
from tests.drivers.nfc.conftest import TYPE4, fresh_tag, text_of
from tests.rig.cards import fresh_card, text_on

NUMBER = "4071882619550042"
OLD = "164d29dc4a09b65f"


def request(number=NUMBER, bind=lambda _: None, progress=lambda _: None):
    return EncodeRequest(CardNumber(number), bind, progress)


def type4(**how):
    return Type4InField(b"\x04" + os.urandom(6), **how)


def write_message(tag, message):
    """Put any NDEF message on a tag, by other means than the driver."""
    if isinstance(tag, Type4InField):
        tag.memory[:] = (len(message).to_bytes(2, "big") + message).ljust(len(tag.memory), b"\0")
    else:
        memory = tag.memory.memory
        memory[16 : 16 + len(message) + 3] = bytes((3, len(message))) + message + b"\xfe"


@pytest.mark.parametrize("kind", ["NTAG213", "NTAG215", "NTAG216", "Ultralight", "Ultralight EV1", TYPE4])
@pytest.mark.parametrize("number", [NUMBER, "7", "0123456789 abcdef"])
def test_every_kind_of_tag_is_encoded(encoder, feeder, kind, number):
    tag = fresh_tag(kind)
    uid = feeder.lay(tag)
    assert encoder.wait_for_card()
    found = []
    result = encoder.encode(request(number, bind=found.append))
    assert (result.uid, result.card_number, result.verified_by) == (uid, number, "read_back")
    assert (found[0].uid, found[0].state, found[0].medium) == (uid, CardState.BLANK, result.medium)
    assert feeder.holds(uid) == number
    assert encoder.scan().card_number == number


@pytest.mark.parametrize(
    ("kind", "medium"),
    [("NTAG213", "NTAG213"), ("Ultralight", "Mifare Ultralight (MF01CU1)"), (TYPE4, "Type 4 tag")],
)
def test_the_medium_has_a_name(encoder, feeder, kind, medium):
    feeder.lay(fresh_tag(kind))
    assert encoder.scan().medium == medium


@pytest.mark.parametrize("number", ["9" * 300, "9" * 700])
@pytest.mark.parametrize("tag", [type4(max_read=0xFF), type4(max_write=0x34), fresh_tag("NTAG216")])
def test_long_numbers_pass_in_pieces(encoder, feeder, tag, number):
    uid = feeder.lay(tag)
    encoder.encode(request(number))
    assert feeder.holds(uid) == number
    encoder.encode(request("8"))
    assert feeder.holds(uid) == "8"


def test_a_card_written_here_is_read_by_the_other_drivers(encoder, feeder):
    card = fresh_card("NTAG213")
    feeder.lay(Type2InField(card))
    encoder.encode(request())
    found = scan_tag(Type2Tag(card), TagOptions())
    assert (found.state, found.card_number) == (CardState.NUMBER, NUMBER)
    assert encode_tag(Type2Tag(card), TagOptions(), request()).written == 0


def test_a_card_written_by_the_other_drivers_is_read_here(encoder, feeder):
    card = fresh_card("NTAG213")
    encode_tag(Type2Tag(card), TagOptions(), request())
    feeder.lay(Type2InField(card))
    assert encoder.scan().card_number == NUMBER
    assert encoder.encode(request()).written == 0


@pytest.mark.parametrize("kind", ["NTAG213", TYPE4])
@pytest.mark.parametrize(
    ("records", "state", "number"),
    [
        ([ndef.Record()], CardState.BLANK, None),
        ([ndef.TextRecord(OLD)], CardState.NUMBER, OLD),
        ([ndef.UriRecord("https://a.example")], CardState.FOREIGN, None),
    ],
)
def test_what_the_card_holds_is_told_before_it_is_written(encoder, feeder, kind, records, state, number):
    tag = fresh_tag(kind)
    write_message(tag, b"".join(ndef.message_encoder(records)))
    feeder.lay(tag)
    found = []
    encoder.encode(request(bind=found.append))
    assert [(card.state, card.card_number) for card in found] == [(state, number)]
    assert text_of(tag) == NUMBER


def test_a_card_takes_no_more_exchanges_than_nfcpy_makes(encoder, feeder, reader):
    feeder.put()
    encoder.encode(request())
    first = [command.hex() for command in reader.commands]
    writes = [command for command in first if command.startswith("a2")]
    assert writes[-1].startswith("a205")  # the page with the length
    assert (len(writes), len(first)) == (8, 17)
    encoder.encode(request())
    assert len(reader.commands) - len(first) == 6


def test_a_type_4_tag_gets_its_length_first_and_last(encoder, feeder):
    tag = type4()
    feeder.lay(tag)
    encoder.encode(request(OLD))
    tag.apdus.clear()
    encoder.encode(request())
    updates = [apdu.hex() for apdu in tag.apdus if apdu[1] == 0xD6]
    assert updates[0] == "00d60000020000"
    assert updates[-1] == "00d60000020017"
    assert all(update[10:14] == "0000" or update[4:8] != "0000" for update in updates[:-1])


@pytest.mark.parametrize("kind", ["NTAG213", TYPE4])
@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.promise(5)
def test_a_card_pulled_at_any_exchange_is_noticed(encoder, feeder, reader, kind, carried_out):
    uid = feeder.lay(fresh_tag(kind))
    encoder.encode(request(OLD))
    before = len(reader.commands)
    encoder.encode(request())
    exchanges = len(reader.commands) - before
    for at in range(exchanges):
        feeder.put_again(uid)
        encoder.encode(request(OLD))
        feeder.put_again(uid)
        bound = []

        def pull(index, command, at=at):
            if index == at:
                raise PulledAway(carried_out=carried_out)

        reader.fail(pull)
        with pytest.raises((NoCredentialOnEncoder, EncodingInterrupted)) as caught:
            encoder.encode(request(bind=bound.append))
        reader.fail(lambda index, command: None)
        if caught.type is NoCredentialOnEncoder:
            assert feeder.holds(uid) == OLD, at
        else:
            assert bound
            assert feeder.holds(uid) in (None, OLD, NUMBER), at
        assert encoder.wait_for_removal()
        feeder.put_again(uid)
        assert encoder.wait_for_card()
        encoder.encode(request())
        assert feeder.holds(uid) == NUMBER


@pytest.mark.promise(5)
def test_a_type_4_tag_torn_at_any_byte_never_looks_finished(encoder, feeder):
    tag = type4()
    uid = feeder.lay(tag)
    encoder.encode(request(OLD))
    for power in range(28):
        feeder.put_again(uid)
        tag.power = power
        with pytest.raises(EncodingInterrupted):
            encoder.encode(request())
        tag.power = None
        # Byte 0 of the length is 0 anyway: the card is as it was until byte 1 is written.
        assert text_of(tag) == (OLD if power < 2 else None), power
        feeder.put_again(uid)
        encoder.encode(request())
        encoder.encode(request(OLD))


# Half of page 5 of an NTAG213 ends before the length in it, which is the first write's and the last's.
@pytest.mark.parametrize(
    ("effect", "first", "last"), [(Effect.HALF, OLD, None), (Effect.LATE, None, NUMBER)], ids=["half", "late"]
)
@pytest.mark.promise(5)
def test_a_type_2_tag_torn_at_any_page_never_looks_finished(encoder, feeder, effect, first, last):
    card = fresh_card("NTAG213")
    uid = feeder.lay(Type2InField(card))
    for at in range(7):
        feeder.put_again(uid)
        encoder.encode(request(OLD))
        writes = 0

        def tear(operation, at=at):
            nonlocal writes
            writes += operation.name == "write"
            return effect if operation.name == "write" and writes == at + 1 else None

        card.fault = tear
        with pytest.raises(EncodingInterrupted):
            encoder.encode(request())
        card.fault = None
        assert text_on(card) == {0: first, 6: last}.get(at), at
        feeder.put_again(uid)
        encoder.encode(request())
        assert text_on(card) == NUMBER


@pytest.mark.promise(1, 6)
def test_a_like_card_put_there_in_the_middle_is_left_alone(encoder, feeder):
    first = feeder.put()
    other = fresh_card("NTAG213")
    before = bytes(other.memory)
    with pytest.raises(NoCredentialOnEncoder):
        encoder.encode(request(bind=lambda _: feeder.lay(Type2InField(other)) and None))
    assert bytes(other.memory) == before
    assert feeder.holds(first) is None


def test_a_card_that_was_lifted_while_it_was_bound_is_not_written(encoder, feeder):
    uid = feeder.put()
    with pytest.raises(NoCredentialOnEncoder):
        encoder.encode(request(bind=lambda _: feeder.put_again(uid)))
    assert feeder.holds(uid) is None


def test_another_card_at_the_read_back_is_noticed(encoder, feeder):
    uid = feeder.put()
    with pytest.raises(EncodingInterrupted, match="Another card"):
        encoder.encode(request(progress=lambda now: feeder.put() if now.stage == "verifying" else None))
    assert feeder.holds(uid) == NUMBER


def test_the_same_card_taken_and_put_back_was_gone(encoder, feeder):
    uid = feeder.put()
    assert encoder.wait_for_card()
    encoder.encode(request())
    feeder.take()
    assert encoder.wait_for_removal()
    feeder.put_again(uid)
    assert encoder.wait_for_card()
    assert encoder.encode(request()).uid == uid


class UntoldUid(Type2InField):
    """A card that makes up a UID each time it is selected."""

    def uid(self):
        return b"\x08" + os.urandom(3)


def test_a_card_with_another_uid_each_time_is_refused_and_stays(encoder, feeder, reader):
    card = fresh_card("NTAG213")
    before = bytes(card.memory)
    reader.put(UntoldUid(card))
    assert encoder.wait_for_card()
    with pytest.raises(IncompatibleCardFormat, match="another UID"):
        encoder.encode(request())
    assert bytes(card.memory) == before
    threading.Timer(0.4, encoder.interrupt).start()
    assert encoder.wait_for_removal() is False
    feeder.take()
    assert encoder.wait_for_removal()


def unformatted():
    return Type2InField(fresh_card("Ultralight EV1", formatted=False))


def marked_read_only():
    card = fresh_card("NTAG213")
    card.memory[15] = 0x0F
    return Type2InField(card)


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        (Type2InField(fresh_card("NTAG213"), sel_res=0x08), "MIFARE Classic"),
        (Type2InField(fresh_card("NTAG213"), sel_res=0x18), "MIFARE Classic"),
        (Type2InField(fresh_card("NTAG213"), sel_res=0x88), "MIFARE Classic"),
        (Type2InField(fresh_card("NTAG213"), sel_res=0x40), "kind"),
        (Type2InField(fresh_card("NTAG213"), sel_res=0x20), "does not answer"),
        (unformatted(), "not formatted"),
        (type4(formatted=False), "not formatted"),
        (marked_read_only(), "read-only"),
        (type4(read_only=True), "read-only"),
        (type4(size=20), "room for 18"),
        (Type2InField(fresh_card("Ultralight EV1")), "room for 46"),
    ],
)
def test_a_card_that_can_not_take_it_is_refused_before_anything_is_written(encoder, feeder, reader, tag, words):
    feeder.lay(tag)
    before = bytes(tag.memory.memory if isinstance(tag, Type2InField) else tag.memory)
    bound = []
    with pytest.raises(IncompatibleCardFormat, match=words):
        encoder.encode(request("4071882619550042" * 3, bind=bound.append))
    assert bound == []
    assert not any(command[:1] == b"\xa2" or command[1:3] == b"\x00\xd6" for command in reader.commands)
    assert bytes(tag.memory.memory if isinstance(tag, Type2InField) else tag.memory) == before


@pytest.mark.parametrize("tag", [unformatted(), type4(formatted=False)])
def test_a_card_that_is_not_formatted_scans_as_foreign(encoder, feeder, tag):
    feeder.lay(tag)
    assert encoder.scan().state is CardState.FOREIGN


@pytest.mark.parametrize("page", range(5, 11))
def test_a_locked_page_is_an_incompatible_card(encoder, feeder, page):
    card = fresh_card("NTAG213")
    uid = feeder.lay(Type2InField(card))
    card.lock(page)
    with pytest.raises(IncompatibleCardFormat, match="locked"):
        encoder.encode(request())
    assert feeder.holds(uid) is None


def test_a_card_that_is_locked_only_where_its_length_lies_is_left_as_it_was(encoder, feeder):
    card = fresh_card("NTAG213")
    uid = feeder.lay(Type2InField(card))
    encoder.encode(request(OLD))
    card.lock(5)
    with pytest.raises(IncompatibleCardFormat, match="locked"):
        encoder.encode(request())
    assert feeder.holds(uid) == OLD


def test_a_type_4_tag_that_says_no_is_an_incompatible_card(encoder, feeder, reader):
    """It grants writing in its CC file and refuses the first UPDATE BINARY with 6982."""
    uid = feeder.lay(type4())
    reader.fail(lambda index, command: bytes((command[0] & 0xEF, 0x69, 0x82)) if command[1:3] == b"\x00\xd6" else None)
    with pytest.raises(IncompatibleCardFormat) as caught:
        encoder.encode(request())
    assert caught.value.data["status"] == "6982"
    assert feeder.holds(uid) is None


@pytest.mark.parametrize("swallowed", ["all", "the last", "one in the middle"])
@pytest.mark.promise(1)
def test_writing_that_has_no_effect_is_found_out(encoder, feeder, reader, swallowed):
    uid = feeder.put()
    encoder.encode(request(OLD))
    writes = 0

    def swallow(index, command):
        nonlocal writes
        if command[0] != 0xA2:
            return None
        writes += 1
        wanted = {"all": True, "the last": writes == 7, "one in the middle": writes == 4}[swallowed]
        return Nibble(0xA) if wanted else None

    reader.fail(swallow)
    with pytest.raises(IncompatibleCardFormat if swallowed == "all" else EncodingInterrupted):
        encoder.encode(request())
    reader.fail(lambda index, command: None)
    assert feeder.holds(uid) != NUMBER
    encoder.encode(request())
    assert feeder.holds(uid) == NUMBER


def test_a_tag_that_nfcpy_does_not_know_by_its_version_is_a_type_2_tag(encoder, feeder, reader):
    uid = feeder.put()
    reader.fail(lambda index, command: bytes.fromhex("0004040502021303") if command == b"\x60" else None)
    assert encoder.encode(request()).medium == "Type 2 tag"
    assert feeder.holds(uid) == NUMBER


def test_what_goes_on_the_card_is_in_no_log_nor_is_nfcpy_s_own_trouble(encoder, feeder, reader, caplog):
    caplog.set_level(logging.DEBUG - 1)
    logging.getLogger().setLevel(1)

    def pull(index, command):
        if index == 4:
            raise PulledAway

    for kind in ("NTAG213", TYPE4):
        feeder.lay(fresh_tag(kind))
        encoder.encode(request())
        feeder.lay(fresh_tag(kind))
        reader.fail(pull)
        with pytest.raises(NoCredentialOnEncoder):
            encoder.encode(request())
        reader.fail(lambda index, command: None)
    assert not [record for record in caplog.records if record.name.split(".")[0] == "nfc"]
    assert NUMBER not in caplog.text
    assert NUMBER.encode().hex() not in caplog.text


def test_a_closed_encoder_is_not_online(line):
    encoder = NfcEncoder("Front desk", NfcOptions(port=line.port))
    assert encoder.device == ""
    for call in (encoder.wait_for_card, encoder.wait_for_removal, encoder.scan, lambda: encoder.encode(request())):
        with pytest.raises(EncoderNotOnline):
            call()


@pytest.mark.parametrize("kind", ["NTAG213", TYPE4])
def test_a_card_that_holds_the_number_may_be_read_only(encoder, feeder, kind):
    tag = marked_read_only() if kind == "NTAG213" else type4(read_only=True)
    write_message(tag, b"".join(ndef.message_encoder([ndef.TextRecord(NUMBER)])))
    feeder.lay(tag)
    assert encoder.encode(request()).written == 0
