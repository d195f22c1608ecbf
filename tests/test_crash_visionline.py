"""kill -9 at every step of a card whose image Visionline's server makes: it is ordered once, and its card is finished.

As in tests/test_crash.py, with a sandbox server beside the desk (tests/rig/visionline_story.py). After each death the
overrides are counted that it has carried out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.rig.killing import Proof, Scenario, stage
from tests.rig.pcscd import Pcscd
from tests.rig.steps import steps_of_visionline
from tests.rig.stopping import Point
from tests.rig.story import Stage
from tests.rig.visionline import MAIN_ENTRANCE, doors_of, joiner, room_card
from tests.rig.visionline_story import VisionlineDesk

__all__ = ["stage"]

pytestmark = [pytest.mark.pcscd, pytest.mark.timeout(900)]

KIND = "Ultralight EV1"
OPENED = {"Room 101", MAIN_ENTRANCE}
ORDERED = Point("request.visionline_order", "after", 1)
MID_WRITE = Point("card.exchange", "after", 9)


def an_override(desk: VisionlineDesk, stop: Point | None) -> None:
    """First start; the first card of a stay is waited for, and a blank card comes."""
    credential = room_card(desk.client, "Room 101")
    desk.watch(stop)
    desk.until(lambda: desk.state(credential) == "claimed", "the claim")
    card = desk.put(desk.card(KIND))
    desk.finished(credential)
    assert doors_of(desk.visionline, card.memory) == OPENED
    assert desk.orders() == 1 or desk.deaths


def killed_in_mid_write_before(desk: VisionlineDesk, stop: Point | None) -> None:
    """Killed with half an image on the card, the agent starts again, and is killed once more while it finishes that."""
    credential = room_card(desk.client, "Room 101")
    desk.start(MID_WRITE)
    desk.until_up()
    card = desk.put(desk.card(KIND))
    desk.die()
    assert desk.orders() == 1
    assert not doors_of(desk.visionline, card.memory)
    desk.watch(stop)
    desk.reported(credential)
    assert doors_of(desk.visionline, card.memory) == OPENED


def killed_before_the_answer_and_the_image_is_not_given_again(desk: VisionlineDesk, stop: Point | None) -> None:
    """The order was carried out, and its image is lost: only a person may have it ordered once more."""
    desk.visionline.server.gives_image_again = False
    credential = room_card(desk.client, "Room 101")
    desk.start(ORDERED)
    desk.until_up()
    card = desk.put(desk.card(KIND))
    desk.die()
    desk.watch(stop)
    desk.until(lambda: desk.needs_a_person(credential), "the desk to ask for a person")
    assert desk.orders() == 1
    desk.insist(credential)
    desk.reported(credential)
    assert doors_of(desk.visionline, card.memory) == OPENED
    assert desk.orders() == 2 or desk.deaths


def a_joiner(desk: VisionlineDesk, stop: Point | None) -> None:
    """One more card for guests who have theirs: it voids nothing, and neither does what the deaths leave undone."""
    first = room_card(desk.client, "Room 101")
    desk.start()
    desk.until_up()
    firsts = desk.put(desk.card(KIND))
    desk.reported(first)
    credential = joiner(desk.client, "Room 101", first)
    desk.watch(stop)
    desk.until(lambda: desk.state(credential) == "claimed", "the claim")
    card = desk.put(desk.card(KIND))
    desk.reported(credential)
    assert doors_of(desk.visionline, card.memory) == doors_of(desk.visionline, firsts.memory) == OPENED


def stopped_and_started(desk: VisionlineDesk, stop: Point | None) -> None:
    """The agent is stopped, which gives its session back."""
    desk.watch(stop)
    desk.until_up()
    desk.stop()
    desk.until_up()


ORDER = ("visionline_order", "note_order")

SCENARIOS = [
    Scenario(
        an_override,
        ("visionline_session", "visionline_look", *ORDER, "begin_writing", "exchange", "record_verified"),
    ),
    Scenario(killed_in_mid_write_before, ("recover", "visionline_look")),
    Scenario(killed_before_the_answer_and_the_image_is_not_given_again, ORDER),
    Scenario(a_joiner, ORDER),
    Scenario(stopped_and_started, ("visionline_logout",)),
]


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory, stage: Stage) -> Proof:
    return Proof(tmp_path_factory.mktemp("crash"), lambda folder: VisionlineDesk(folder, stage, way="image"))


@pytest.mark.promise(1, 2, 3, 4, 5)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_killed_at_every_step_of_an_image(
    scenario: Scenario, proof: Proof, pcscd: Pcscd, cases: Callable[[int], None]
) -> None:
    kills = proof.of(scenario)
    assert kills
    cases(kills.total())


def test_every_step_of_an_order_has_a_case(
    proof: Proof, pcscd: Pcscd, record_property: Callable[[str, object], None]
) -> None:
    kills: Counter[str] = Counter()
    for scenario in SCENARIOS:
        kills += proof.of(scenario)
    record_property("killed", proof.covered())
    missing = steps_of_visionline() - kills.keys()
    assert not missing, f"no story kills the agent at {sorted(missing)}"
