import threading
from collections.abc import Iterator
from time import monotonic

import pytest
from pydantic import ValidationError

from drivers.conformance import EncoderConformance
from drivers.conformance.images import ImageMaker
from drivers.content import CardNumber
from drivers.encoder import CardState, EncodeRequest, FoundCard
from drivers.errors import EncoderNotOnline, EncodingInterrupted, IncompatibleCardFormat
from drivers.virtual.cards import VirtualClassic, VirtualType2
from drivers.virtual.driver import VirtualEncoder, VirtualOptions
from tests.rig.cards import memory_of, text_on

NUMBER = "4071882619550042"


def opened(**options) -> VirtualEncoder:
    encoder = VirtualEncoder("Sandbox", VirtualOptions(pace_ms=0, **options))
    encoder.open()
    return encoder


def request(number=NUMBER, bind=lambda _: None):
    return EncodeRequest(CardNumber(number), bind)


class TrayFeeder:
    """Hands at the tray."""

    def __init__(self, encoder: VirtualEncoder, kind: str) -> None:
        self._encoder = encoder
        self._kind = kind

    def put(self) -> str:
        return self._encoder.put(kind=self._kind)

    def put_again(self, uid: str) -> None:
        self._encoder.put(uid)

    def take(self) -> None:
        self._encoder.take()

    def holds(self, uid: str) -> str | None:
        return text_on(self._encoder.card(uid))

    def memory(self, uid: str) -> bytes | None:
        return memory_of(self.card(uid))

    def card(self, uid: str) -> VirtualType2 | VirtualClassic:
        return self._encoder.card(uid)


class TestVirtualEncoder(EncoderConformance):
    @pytest.fixture
    def encoder(self) -> Iterator[VirtualEncoder]:
        encoder = opened(feed="manual")
        yield encoder
        encoder.close()

    @pytest.fixture(params=["NTAG213", "Ultralight EV1 128", "MIFARE Classic 1K", "MIFARE Classic 4K"])
    def feeder(self, request: pytest.FixtureRequest, encoder: VirtualEncoder) -> TrayFeeder:
        return TrayFeeder(encoder, request.param)


@pytest.fixture
def manual():
    return opened(feed="manual", stack=["NTAG213"])


def test_cards_come_and_go_by_themselves():
    encoder = opened(stack=["NTAG213", "MIFARE Classic 1K"])
    media = []
    for number in ("1", "2", "3"):
        assert encoder.wait_for_card()
        media.append(encoder.encode(request(number)).medium)
        assert encoder.wait_for_removal()
    assert media == ["NTAG213", "MIFARE Classic 1K", "NTAG213"]
    assert [text_on(encoder.card(card["uid"])) for card in encoder.tray()] == ["1", "2", "3"]


def test_a_card_that_nothing_was_done_to_stays():
    encoder = opened()
    assert encoder.wait_for_card()
    threading.Timer(0.02, encoder.interrupt).start()
    assert encoder.wait_for_removal() is False
    assert encoder.encode(request()).card_number == NUMBER
    assert encoder.wait_for_removal()


def test_the_stack_comes_to_an_end():
    encoder = opened(cards=1)
    assert encoder.wait_for_card()
    encoder.scan()
    assert encoder.wait_for_removal()
    threading.Timer(0.02, encoder.interrupt).start()
    assert encoder.wait_for_card() is False


def feed(encoder, count):
    """Let that many cards come and go."""
    for _ in range(count):
        assert encoder.wait_for_card()
        encoder.scan()
        assert encoder.wait_for_removal()


def test_an_endless_stack_is_not_remembered_for_ever(tmp_path):
    file = tmp_path / "cards.json"
    encoder = opened(cards_file=file)
    own = encoder.put()
    encoder.encode(request())
    encoder.take()
    feed(encoder, 300)
    assert encoder.wait_for_card()
    assert encoder.encode(request("7")).card_number == "7"
    uids = [card["uid"] for card in encoder.tray()]
    assert (len(uids), uids[0]) == (201, own)
    again = opened(cards_file=file)
    feed(again, 150)
    after = [card["uid"] for card in again.tray()]
    assert (len(after), after[0], after[1:51]) == (201, own, uids[151:])
    assert text_on(again.card(own)) == NUMBER


def test_a_stack_of_so_many_cards_is_remembered_whole():
    encoder = opened(cards=250)
    feed(encoder, 250)
    assert len(encoder.tray()) == 250
    threading.Timer(0.02, encoder.interrupt).start()
    assert encoder.wait_for_card() is False


def test_a_torn_card_is_put_back():
    encoder = opened()
    assert encoder.wait_for_card()
    encoder.fail_next("torn")
    bound = []
    with pytest.raises(EncodingInterrupted):
        encoder.encode(request(bind=bound.append))
    assert [card["state"] for card in encoder.tray()] == ["torn"]
    assert text_on(encoder.card(bound[0].uid)) is None
    assert encoder.wait_for_removal()
    assert encoder.wait_for_card()
    assert encoder.encode(request()).uid == bound[0].uid
    assert [card["state"] for card in encoder.tray()] == ["encoded"]


def test_a_card_that_bind_refuses_is_not_torn_and_does_not_come_back():
    def refuse(_: FoundCard) -> None:
        raise EncodingInterrupted("Another card is to be put back.")

    encoder = opened()
    assert encoder.wait_for_card()
    with pytest.raises(EncodingInterrupted):
        encoder.encode(request(bind=refuse))
    (refused,) = encoder.tray()
    assert refused["state"] == "fresh"
    assert encoder.wait_for_removal()
    began = monotonic()
    assert encoder.wait_for_card()
    assert monotonic() - began > 0.5  # one refused card after the other would keep the machine busy
    assert encoder.encode(request()).uid != refused["uid"]


@pytest.mark.parametrize("image", [b"odd", bytes(1000)], ids=["unusable", "too long"])
def test_a_card_for_which_an_image_was_made_is_put_back(image):
    """The order stands, though nothing was written: another card would be the wrong one."""
    encoder = opened(stack=["NTAG213"])
    assert encoder.wait_for_card()
    maker = ImageMaker(image)
    with pytest.raises(EncodingInterrupted):
        encoder.encode(maker.request())
    (card,) = encoder.tray()
    assert card["state"] == "fresh"
    assert encoder.wait_for_removal()
    assert encoder.wait_for_card()
    assert encoder.encode(ImageMaker().request()).uid == card["uid"]


def test_after_a_refused_card_hands_and_interrupts_need_not_wait():
    def refuse(_: FoundCard) -> None:
        raise EncodingInterrupted("Another card is to be put back.")

    encoder = opened()
    for _ in range(20):
        assert encoder.wait_for_card()
        with pytest.raises(EncodingInterrupted):
            encoder.encode(request(bind=refuse))
        assert encoder.wait_for_removal()
        threading.Timer(0.01, encoder.interrupt).start()
        assert encoder.wait_for_card() is False
        threading.Timer(0.01, encoder.put, [encoder.tray()[0]["uid"]]).start()
    assert len(encoder.tray()) == 1


def test_a_locked_card_is_refused(manual):
    manual.put()
    manual.fail_next("locked")
    with pytest.raises(IncompatibleCardFormat):
        manual.encode(request())


def test_a_swallowed_write_is_found_out(manual):
    uid = manual.put()
    manual.fail_next("swallowed_write")
    with pytest.raises((EncodingInterrupted, IncompatibleCardFormat)):
        manual.encode(request())
    assert text_on(manual.card(uid)) != NUMBER
    assert manual.encode(request()).card_number == NUMBER


def test_an_unplugged_encoder_says_so_until_it_is_opened_again(manual):
    manual.put()
    assert manual.wait_for_card()
    threading.Timer(0.02, manual.fail_next, ["offline"]).start()
    with pytest.raises(EncoderNotOnline, match="unplugged"):
        manual.wait_for_removal()
    for call in (manual.wait_for_card, manual.scan, lambda: manual.encode(request())):
        with pytest.raises(EncoderNotOnline):
            call()
    manual.close()
    manual.open()
    assert manual.wait_for_card()
    assert manual.scan().state is CardState.BLANK


def test_a_closed_encoder_is_not_online(manual):
    manual.close()
    assert manual.device == ""
    with pytest.raises(EncoderNotOnline):
        manual.wait_for_card()


def test_an_unknown_fault_is_refused(manual):
    with pytest.raises(ValueError, match="melted"):
        manual.fail_next("melted")


def test_the_tray_shows_cards_and_not_what_they_hold(manual):
    (card,) = manual.tray()
    assert manual.put() == card["uid"]
    manual.encode(request())
    assert manual.tray() == [{"uid": card["uid"], "kind": "NTAG213", "state": "encoded", "on_encoder": True}]
    manual.take()
    assert manual.tray()[0]["on_encoder"] is False


def test_the_next_fresh_card_is_put_down(manual):
    first = manual.put()
    manual.encode(request())
    second = manual.put()
    assert second != first
    assert [card["on_encoder"] for card in manual.tray()] == [False, True]


def test_uids_are_nxp_s_and_differ(manual):
    uids = {manual.put(kind="NTAG213") for _ in range(20)}
    assert len(uids) == 20
    assert all(uid.startswith("04") and len(uid) == 14 for uid in uids)


def test_unknown_cards_and_kinds_are_refused(manual):
    with pytest.raises(KeyError):
        manual.put("04000000000000")
    with pytest.raises(ValueError, match="NTAG213"):
        manual.put(kind="NTAG999")
    with pytest.raises(ValidationError, match="NTAG999"):
        VirtualOptions(stack=["NTAG999"])


def test_cards_outlive_the_process(tmp_path):
    file = tmp_path / "cards.json"
    encoder = opened(feed="manual", cards_file=file)
    uid = encoder.put()
    encoder.encode(request())
    encoder.close()
    assert file.stat().st_mode & 0o777 == 0o600
    again = opened(feed="manual", cards_file=file)
    assert again.tray() == [{**card, "on_encoder": False} for card in encoder.tray()]
    again.put(uid)
    assert again.scan().card_number == NUMBER


@pytest.mark.parametrize("content", ["", "{}", '{"cards": [{"uid": "04"}]}'])
def test_a_damaged_file_of_cards_is_named(tmp_path, content):
    file = tmp_path / "cards.json"
    file.write_text(content)
    with pytest.raises(EncoderNotOnline, match=r"cards\.json"):
        opened(cards_file=file)
    assert file.read_text() == content


@pytest.mark.parametrize("unplugged", [False, True])
def test_a_damaged_file_of_cards_is_not_read_again_and_again(tmp_path, unplugged):
    file = tmp_path / "cards.json"
    file.write_text("{broken")
    encoder = VirtualEncoder("Sandbox", VirtualOptions(cards_file=file))
    if unplugged:
        encoder.fail_next("offline")
    with pytest.raises(EncoderNotOnline):
        encoder.open()
    encoder.close()
    began = monotonic()
    encoder.wait_for_device(0.6)
    assert monotonic() - began >= 0.6
    encoder.interrupt()
    encoder.wait_for_device(60)
    assert monotonic() - began < 30
