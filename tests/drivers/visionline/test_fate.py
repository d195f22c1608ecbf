import pytest

from drivers.encoder import OrderNote
from drivers.errors import EncodingInterrupted
from drivers.visionline import fate
from drivers.visionline.cards import ServerCard
from tests.drivers.visionline.desk import GUEST, OTHER_UID, UID, Journal, local, options
from tests.drivers.visionline.test_cards import card


def made(cards: list[ServerCard] | None, before: dict[str, int] | None, uid: str = UID) -> ServerCard | None:
    return fate.made(local(), uid, before, cards, options())


def test_what_was_there_before_is_not_what_was_ordered() -> None:
    assert made([card()], {"100001": 1}) is None
    assert made([], {}) is None


def test_a_new_card_that_fits_is() -> None:
    assert made([card(id="1"), card(id="2")], {"1": 1}) == card(id="2")


def test_one_more_of_a_card_that_was_there_is() -> None:
    again = card(id="1", numberOfIssuedCards=2)
    assert made([again], {"1": 1}) == again


@pytest.mark.parametrize(
    "new",
    [
        [card(expireTime="20400506T1159")],
        [card(serialNumbers=[OTHER_UID])],
        [card(id="1"), card(id="2")],
        [card(id=None), card(id="2")],
        [ServerCard(card_id="3")],
    ],
)
def test_any_doubt_is_for_a_person(new: list[ServerCard]) -> None:
    with pytest.raises(fate.FateUnknown):
        made(new, {})


def test_where_no_serial_number_is_known_doors_times_and_format_have_to_do() -> None:
    assert made([card(serialNumbers=[OTHER_UID])], {}, uid="") is not None


def test_two_guests_of_one_stay_are_told_apart_where_the_server_knows_their_names() -> None:
    order = local(card_holder=True)
    assert fate.made(order, "", {}, [card(cardHolder=GUEST)], options()) is not None
    with pytest.raises(fate.FateUnknown):
        fate.made(order, "", {}, [card(cardHolder="Ole Lindqvist")], options())


@pytest.mark.parametrize(("cards", "before"), [(None, {}), ([], None), (None, None)])
def test_what_cannot_be_asked_is_for_a_person(cards: list[ServerCard] | None, before: dict[str, int] | None) -> None:
    with pytest.raises(fate.FateUnknown):
        made(cards, before)


def test_of_an_order_that_is_another_by_now_anything_new_may_be_what_came() -> None:
    assert fate.made(None, UID, {}, [], options()) is None
    with pytest.raises(fate.OrderChanged):
        fate.made(None, UID, {}, [card()], options())


def test_what_may_have_been_carried_out_leaves_the_card_unknown() -> None:
    for error in (fate.FateUnknown, fate.NotShownYet, fate.OrderChanged, fate.OrderVoid, fate.ImageMissing):
        assert issubclass(error, EncodingInterrupted)
        assert not error.retry_on_same_card
        assert "--overwrite" in str(error("x"))
    assert fate.AnswerLost.retry_on_same_card


def test_another_card_than_the_one_that_was_ordered_for_is_refused_as_it_is() -> None:
    journal = Journal()
    fate.check_card(journal.request(), UID)
    journal.note(OrderNote("asked", {"uid": UID}))
    fate.check_card(journal.request(), UID)
    with pytest.raises(fate.OrderForAnotherCard):
        fate.check_card(journal.request(), OTHER_UID)
    fate.check_card(journal.request(insists=True), OTHER_UID)
