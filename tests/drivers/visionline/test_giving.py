"""One order, given once: every way in which an answer, a crash or a person can come in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from drivers.encoder import OrderNote
from drivers.errors import BridgeDisconnected, EncoderError, EncoderNotOnline, EncodingInterrupted
from drivers.visionline import fate, giving
from drivers.visionline.cards import ServerCard
from drivers.visionline.giving import Errand, Giving, OrderRefused, UnknownDoor
from drivers.visionline.images import UnusableImage, image_bytes
from drivers.visionline.options import VisionlineOptions
from drivers.visionline.orders import LocalOrder, image_query, native_query, ordered_serial
from drivers.visionline.register import Register
from drivers.visionline.trouble import Refused, WrongPassword
from tests.drivers.visionline.desk import ENDS, GUEST, OTHER_UID, ROOM, SHARED, UID, Journal, MemoryServer, an_order
from tests.drivers.visionline.desk import options as made_options

IMAGE, NATIVE = made_options(), made_options(way="native", encoder_s=1.0)


class Hand:
    """A job at one encoder: each `try_` is one try, as a driver makes it."""

    def __init__(self, options: VisionlineOptions = IMAGE) -> None:
        self.options = options
        self.server = MemoryServer()
        self.register = Register(self.server, options)
        self.journal = Journal()
        self.order = an_order()
        self.uid = UID if options.way == "image" else ""

    def try_(self, *, insists: bool = False) -> ServerCard:
        order = LocalOrder.of(self.order, self.options)
        request = self.journal.request(self.order, insists=insists)
        fate.check_card(request, self.uid)
        before = self.look(order)
        return Giving(self.register, self.options, request, self.errand(order)).given(before)

    def look(self, order: LocalOrder) -> list[ServerCard] | None:
        return self.register.of_serial(self.uid) if self.uid else self.register.like(order)

    def errand(self, order: LocalOrder) -> Errand:
        if self.uid:
            query, serials = image_query(order, self.options), (ordered_serial(self.uid, self.options),)
        else:
            query, serials = native_query(order, self.options, overwrites=False), ()
        return Errand(
            order,
            self.uid,
            lambda: self.register.order(query, order.body(serials)),
            lambda: self.look(order),
            patience_s=1.0,
        )

    def lose(self, how: str) -> None:
        self.server.fails = how
        with pytest.raises(fate.AnswerLost):
            self.try_()


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, each time; no time passes."""
    told: list[float] = []
    monkeypatch.setattr(giving.time, "sleep", told.append)
    return told


@pytest.fixture(params=[IMAGE, NATIVE], ids=["image", "native"])
def either(request: pytest.FixtureRequest, waits: list[float]) -> Hand:
    return Hand(request.param)


def test_what_is_known_is_on_the_disk_before_the_order_goes_out_and_after(hand: Hand) -> None:
    card = hand.try_()
    assert hand.journal.stages == ["asked", "answered"]
    asked, answered = hand.journal.notes
    assert asked is not None
    assert answered is not None
    assert set(asked.facts) == {"uid", "order_digest", "joining", "asked_at", "held_before"}
    assert answered.facts["card_id"] == answered.facts["credential_id"] == "100001"
    assert answered.facts["serial_number"] == UID + "ff"
    assert answered.image == card.image.lower()
    assert len(answered.facts["image_sha256"]) == 64


def test_no_guest_no_door_and_no_image_is_in_the_facts(hand: Hand) -> None:
    card = hand.try_()
    shown = repr(hand.journal.notes) + repr(card)
    assert not any(text in shown for text in (GUEST, ROOM, SHARED, card.image, card.image.lower()))


def test_a_crash_before_the_order_leaves_it_noted(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: Any, **__: Any) -> None:
        assert hand.journal.stages == ["asked"]
        raise KeyboardInterrupt

    monkeypatch.setattr(hand.server, "order", dies)
    with pytest.raises(KeyboardInterrupt):
        hand.try_()
    assert hand.journal.noted is not None
    assert hand.journal.noted.stage == "asked"


def test_a_torn_card_is_written_again_from_what_was_noted(either: Hand) -> None:
    first = either.try_()
    again = either.try_()
    assert image_bytes(again.image) == image_bytes(first.image) if either.uid else not again.image
    assert again.card_id == first.card_id
    assert either.server.overrides == 1
    either.try_(insists=True)  # the person's word was about the card: its image is there
    assert either.server.overrides == 1


@pytest.mark.parametrize("how", ["lost after", "late"])
def test_an_order_that_was_carried_out_is_found(
    either: Hand, how: str, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving.time, "sleep", either.server.time_passes)
    either.lose(how)
    card = either.try_()
    assert card.card_id == "100001"
    assert either.server.overrides == 1
    assert either.journal.stages[:2] == ["asked", "answered"]
    assert bool(card.image) is bool(either.uid)


def looked_twice(hand: Hand, waits: list[float]) -> bool:
    """Whether the server had its time, and was asked before the card was bound, and two times more."""
    assert len(waits) == 2
    assert 0.9 < waits[0] <= 1.0
    assert waits[1] == hand.options.settle_s
    return len(hand.server.asked) == (3 * 5 if hand.uid else 3)


@pytest.mark.parametrize("joining", ["join", "auto"])
def test_a_joiner_s_order_that_nothing_shows_of_is_given_after_two_looks(
    either: Hand, waits: list[float], joining: str
) -> None:
    either.order = an_order(joining=joining)
    either.lose("lost before")
    either.server.asked.clear()
    either.try_()
    assert len(either.server.orders) == 1
    assert looked_twice(either, waits)


def test_an_override_that_nothing_shows_of_is_given_again_by_a_person_s_word_alone(
    either: Hand, waits: list[float]
) -> None:
    either.lose("lost before")
    either.server.asked.clear()
    with pytest.raises(fate.NotShownYet):
        either.try_()
    assert looked_twice(either, waits)
    for _ in range(3):
        with pytest.raises(fate.NotShownYet, match="`card-encoder encode ID` asks Visionline once more"):
            either.try_()
    assert either.journal.stages == ["asked"]
    assert not either.server.orders
    either.try_(insists=True)
    assert either.server.overrides == 1
    assert either.journal.stages == ["asked", "asked", "answered"]


@pytest.mark.parametrize("looks", [1, 3])
def test_an_override_that_is_carried_out_after_the_agent_has_looked_is_found_and_given_once(
    either: Hand, waits: list[float], looks: int
) -> None:
    either.lose("late")
    for _ in range(looks):
        with pytest.raises(fate.NotShownYet):
            either.try_()
    either.server.time_passes()
    assert either.try_().card_id == "100001"
    assert either.server.overrides == 1
    assert either.journal.stages[:2] == ["asked", "answered"]


def test_an_override_for_a_card_that_the_server_has_under_another_number_is_not_given_again(
    hand: Hand, waits: list[float]
) -> None:
    hand.lose("lost after")
    hand.server.cards[0]["serialNumbers"] = ["00" + UID]
    for _ in range(3):
        with pytest.raises(fate.NotShownYet):
            hand.try_()
    assert hand.server.overrides == 1


@pytest.mark.parametrize("by_now", ["override", "join", "auto"])
def test_an_override_of_unknown_fate_is_one_whatever_the_credential_says_by_now(
    either: Hand, waits: list[float], by_now: str
) -> None:
    either.lose("late")
    either.order = an_order(joining=by_now, ends_at=ENDS.replace(day=7))
    with pytest.raises(fate.NotShownYet):
        either.try_()
    assert not either.server.orders


@pytest.mark.parametrize("how", ["not reached", "refused"])
def test_only_a_proof_that_nothing_was_carried_out_takes_a_second_override_back(
    either: Hand, waits: list[float], how: str
) -> None:
    """And what it takes back is that one: the first is where it was."""
    either.lose("lost before")
    first = either.journal.noted
    either.server.fails = how
    with pytest.raises(EncoderError) as caught:
        either.try_(insists=True)
    assert not isinstance(caught.value, EncodingInterrupted)
    assert either.journal.noted == first
    with pytest.raises(fate.NotShownYet):
        either.try_()


def test_where_nobody_put_a_card_down_the_clerk_is_told_that_it_may_be_so(either: Hand, waits: list[float]) -> None:
    """A server may tell that by a status that tells nothing of the order."""
    either.server.fails = "lost before"
    with pytest.raises(fate.AnswerLost) as lost:
        either.try_()
    with pytest.raises(fate.NotShownYet) as unknown:
        either.try_()
    for error in (lost.value, unknown.value):
        assert (fate.NO_CARD in error.message) is (not either.uid)


@pytest.mark.parametrize("years", [-1, 1])
def test_the_wait_is_counted_from_the_order_and_no_clock_makes_it_longer(
    hand: Hand, waits: list[float], years: int
) -> None:
    hand.order = an_order(joining="join")
    hand.lose("lost before")
    noted = hand.journal.noted
    assert noted is not None
    asked_at = noted.facts["asked_at"]
    hand.journal.noted = OrderNote("asked", {**noted.facts, "asked_at": f"{int(asked_at[:4]) + years}{asked_at[4:]}"})
    hand.try_()
    assert waits[0] == (0.0 if years < 0 else 1.0)


def test_a_server_that_is_away_leaves_the_order_where_it_is(hand: Hand, waits: list[float]) -> None:
    hand.lose("lost after")
    request = hand.journal.request()
    order = LocalOrder.of(hand.order, hand.options)
    before = hand.look(order)
    hand.server.is_away = True
    with pytest.raises(EncodingInterrupted, match="can't be asked"):
        Giving(hand.register, hand.options, request, hand.errand(order)).given(before)
    assert hand.journal.stages == ["asked"]
    with pytest.raises(BridgeDisconnected):  # at the look before the card is bound
        hand.try_(insists=True)
    hand.server.is_away = False
    hand.try_()
    assert hand.server.overrides == 1


def test_a_wrong_password_is_still_one_when_it_is_found_out_late(hand: Hand, waits: list[float]) -> None:
    hand.lose("lost after")

    def refuse() -> list[ServerCard]:
        raise WrongPassword("Visionline doesn't take the agent's user name and password (401).")

    order = LocalOrder.of(hand.order, hand.options)
    errand = Errand(order, UID, hand.errand(order).send, refuse, 1.0)
    with pytest.raises(EncoderNotOnline):
        Giving(hand.register, hand.options, hand.journal.request(), errand).given([])
    assert hand.journal.stages == ["asked"]


@pytest.mark.parametrize("how", ["not reached", "refused"])
def test_what_was_surely_not_carried_out_is_taken_back(either: Hand, how: str) -> None:
    either.server.fails = how
    with pytest.raises(EncoderError) as caught:
        either.try_()
    assert not isinstance(caught.value, EncodingInterrupted)
    assert either.journal.stages == ["asked", None]
    either.try_()
    assert either.server.overrides == 1


@pytest.mark.parametrize(
    ("status", "by_image", "natively"),
    [
        (400, OrderRefused, Refused),
        (409, OrderRefused, Refused),
        (403, Refused, Refused),
        (429, Refused, Refused),
    ],
)
def test_a_refusal_is_about_the_order_or_about_the_encoder(
    either: Hand, status: int, by_image: type, natively: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(either.server, "order", _refuses(status))
    with pytest.raises(EncoderError) as caught:
        either.try_()
    assert type(caught.value) is (by_image if either.uid else natively)
    assert caught.value.data["status"] == status


def _refuses(status: int) -> Callable[..., Any]:
    def order(*_: Any, **__: Any) -> Any:
        raise Refused(f"Visionline refused what was asked ({status}).", status=status, code=None)

    return order


@pytest.mark.parametrize("doors", [[{"doorName": SHARED}], [SHARED], [{"id": SHARED, "doorType": "x"}]])
def test_an_unknown_door_is_said_without_its_name(
    either: Hand, doors: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(either.server, "order", _refuses(404))
    either.server.doors = doors
    with pytest.raises(UnknownDoor) as caught:
        either.try_()
    assert ROOM not in str(caught.value)
    assert either.journal.noted is None


@pytest.mark.parametrize("doors", [[], {}, None, [17], [{"doorName": ROOM, "doorID": "1"}, {"doorID": SHARED}]])
def test_where_no_door_is_missing_the_refusal_is_what_it_was(
    hand: Hand, doors: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand.server, "order", _refuses(404))
    hand.server.doors = doors
    with pytest.raises(OrderRefused):
        hand.try_()


@pytest.mark.parametrize("lost", ["", "lost after"])
def test_something_else_by_now_is_for_a_person(either: Hand, lost: str) -> None:
    if lost:
        either.lose(lost)
    else:
        either.try_()
    either.order = an_order(ends_at=ENDS.replace(day=7))
    for _ in range(2):
        with pytest.raises(fate.OrderChanged):
            either.try_()
    assert either.server.overrides == 1
    card = either.try_(insists=True)
    assert card.card_id == "100002"
    assert either.server.overrides == 2
    assert either.try_().card_id == "100002"
    assert either.server.overrides == 2


@pytest.mark.parametrize("joining", ["join", "auto"])
def test_something_else_by_now_is_ordered_where_nothing_came_of_a_joiner_s_order(either: Hand, joining: str) -> None:
    either.order = an_order(joining=joining)
    either.lose("lost before")
    either.order = an_order(ends_at=ENDS.replace(day=7))
    assert either.try_().expires == "20400507T1200"
    assert either.server.overrides == 1


def test_a_refusal_of_what_a_person_wants_anew_forgets_nothing(either: Hand) -> None:
    either.try_()
    known = either.journal.noted
    either.order = an_order(ends_at=ENDS.replace(day=7))
    either.server.fails = "not reached"
    with pytest.raises(BridgeDisconnected):
        either.try_(insists=True)
    assert either.journal.noted == known
    with pytest.raises(fate.OrderChanged):
        either.try_()


@pytest.mark.parametrize("lost", ["", "lost after"])
@pytest.mark.parametrize("flag", ["cancelled", "overridden", "overwritten", "discarded", "expired"])
def test_a_key_that_opens_nothing_any_more_is_not_handed_out(either: Hand, lost: str, flag: str) -> None:
    if lost:
        either.lose(lost)
    else:
        either.try_()
    either.server.cards[0][flag] = True
    with pytest.raises(fate.OrderVoid):
        either.try_()
    assert either.try_(insists=True).card_id == "100002"


def test_an_image_that_is_not_told_again_is_for_a_person(hand: Hand, waits: list[float]) -> None:
    hand.server.gives_image_again = False
    hand.lose("lost after")
    for _ in range(2):
        with pytest.raises(fate.ImageMissing):
            hand.try_()
    assert hand.server.overrides == 1
    assert hand.try_(insists=True).image
    assert hand.server.overrides == 2


@pytest.mark.parametrize("image", ["", None, "abc", "zz" * 24, "ab" * 23, 17, "²" * 48])
def test_what_is_no_image_is_for_a_person_and_noted_as_what_it_was(hand: Hand, image: Any, waits: list[float]) -> None:
    hand.server.spoils = lambda _: image
    hand.server.gives_image_again = False
    with pytest.raises(UnusableImage):
        image_bytes(hand.try_().image)
    noted = hand.journal.noted
    assert noted is not None
    assert noted.stage == "answered"
    assert noted.image == ""
    assert noted.facts["card_id"] == "100001"
    assert "image_sha256" not in noted.facts
    with pytest.raises(fate.ImageMissing):
        hand.try_()
    hand.server.gives_image_again = True
    image_bytes(hand.try_().image)
    assert hand.server.overrides == 1


def test_an_image_that_is_none_the_second_time_either_is_made_anew_at_a_word(hand: Hand, waits: list[float]) -> None:
    hand.lose("lost after")
    hand.server.images["100001"] = "abc"
    for _ in range(2):
        with pytest.raises(UnusableImage):
            hand.try_()
    assert hand.server.overrides == 1
    assert image_bytes(hand.try_(insists=True).image)
    assert hand.server.overrides == 2


def test_a_card_of_staff_that_was_lost_natively_is_for_a_person(waits: list[float]) -> None:
    hand = Hand(NATIVE)
    hand.order = an_order(function="staff", joining="auto")
    hand.lose("lost before")
    with pytest.raises(fate.FateUnknown, match=fate.NO_CARD):
        hand.try_()
    hand.try_(insists=True)
    assert len(hand.server.orders) == 1


def test_the_serial_number_that_is_reported_survives(waits: list[float]) -> None:
    hand = Hand(made_options(card_number="server"))
    hand.try_()
    assert hand.try_().serials == (UID + "ff",)


class Fates(RuleBasedStateMachine):
    """Tries without end, each with its own trouble, at a server that may be as slow as it likes. A person's word counts
    once, as the agent sees to."""

    @initialize(native=st.booleans(), gives_image_again=st.booleans(), is_patient=st.booleans())
    def begin(self, native: bool, gives_image_again: bool, is_patient: bool) -> None:
        self.hand = Hand(NATIVE if native else IMAGE)
        self.hand.server.gives_image_again = gives_image_again
        self.words = 1
        self.changed = 0
        self.done: ServerCard | None = None
        self.sleep = giving.time.sleep
        wait = self.hand.server.time_passes if is_patient else lambda _: None
        giving.time.sleep = wait  # type: ignore[assignment]

    def teardown(self) -> None:
        if hasattr(self, "sleep"):
            giving.time.sleep = self.sleep  # type: ignore[assignment]

    @precondition(lambda self: self.done is None)
    @rule(
        trouble=st.sampled_from(["", "", "lost before", "lost after", "late", "not reached", "refused"]),
        is_away=st.sampled_from([False, False, False, True]),
        insists=st.sampled_from([False, False, False, True]),
        dies_at=st.sampled_from([None, None, None, "asked", "answered"]),
    )
    def a_try(self, trouble: str, is_away: bool, insists: bool, dies_at: str | None) -> None:
        server, journal = self.hand.server, self.hand.journal
        server.fails, server.is_away = trouble, is_away
        self.words += insists
        kept, overrides = journal.note, server.overrides + (server.late is not None)

        def note(note: OrderNote | None) -> None:
            kept(note)
            if note is not None and note.stage == dies_at:
                raise KeyboardInterrupt

        journal.note = note  # type: ignore[method-assign]
        try:
            card = self.hand.try_(insists=insists)
            if self.hand.uid:
                image_bytes(card.image)
            self.done = card
            assert not any(told["id"] == card.card_id and told["cancelled"] for told in server.cards)
        except (EncoderError, KeyboardInterrupt) as error:
            if not isinstance(error, KeyboardInterrupt | EncodingInterrupted):
                assert server.overrides <= overrides  # surely not carried out
        finally:
            journal.note = kept  # type: ignore[method-assign]
            server.fails, server.is_away = "", False

    @rule()
    def time_passes(self) -> None:
        """What was late is carried out."""
        self.hand.server.time_passes()

    @precondition(lambda self: self.done is None)
    @rule()
    def the_credential_is_changed(self) -> None:
        self.changed += 1
        self.hand.order = an_order(ends_at=ENDS.replace(minute=self.changed % 3))

    @precondition(lambda self: bool(self.hand.server.cards))
    @rule()
    def somebody_voids_the_newest(self) -> None:
        self.hand.server.cards[-1]["cancelled"] = True

    @precondition(lambda self: self.done is None)
    @rule()
    def another_guest_gets_another_card(self) -> None:
        order = LocalOrder.of(an_order(joining="join"), self.hand.options)
        body = order.body((ordered_serial(OTHER_UID, IMAGE),))
        self.hand.server.carry_out(image_query(order, IMAGE), body)

    @invariant()
    def no_override_without_a_word(self) -> None:
        assert self.hand.server.overrides <= self.words

    @invariant()
    def what_was_carried_out_is_never_forgotten(self) -> None:
        if self.hand.server.overrides:
            assert self.hand.journal.noted is not None

    @invariant()
    def what_is_handed_out_is_what_was_ordered(self) -> None:
        if self.done is None:
            return
        (told,) = [card for card in self.hand.server.cards if card["id"] == self.done.card_id]
        assert ServerCard.of(told, IMAGE).fits(LocalOrder.of(self.hand.order, self.hand.options))


TestFates = Fates.TestCase
TestFates.settings = settings(max_examples=150, stateful_step_count=20, deadline=None)
