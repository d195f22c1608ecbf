"""kill -9 at every step of a card that somebody else's encoder writes: Visionline's own, or one that the credential
service drives. It is ordered once, and the order's fate is found out.

As in tests/test_crash_visionline.py.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.rig.killing import Proof, Scenario, stage
from tests.rig.pcscd import Pcscd
from tests.rig.steps import steps_of_the_services_encoders
from tests.rig.stopping import Point
from tests.rig.story import Stage
from tests.rig.visionline import MAIN_ENTRANCE, doors_of, room_card
from tests.rig.visionline_story import ServicesDesk, VisionlineDesk

__all__ = ["stage"]

pytestmark = [pytest.mark.pcscd, pytest.mark.timeout(900)]


def an_override_on_visionlines_encoder(desk: VisionlineDesk, stop: Point | None) -> None:
    """A person picks the first card of a stay, for which a card lies on the server's own encoder."""
    credential = room_card(desk.client, "Room 101")
    desk.lay()
    desk.watch(stop)
    desk.until_up()
    desk.pick(credential)
    desk.finished(credential)
    assert doors_of(desk.visionline, desk.laid[0]) == {"Room 101", MAIN_ENTRANCE}
    assert desk.orders() == 1 or desk.deaths


def an_override_that_the_service_encodes(desk: ServicesDesk, stop: Point | None) -> None:
    """First start; the first card of a stay waits. Where the agent died as it ordered, a person may have to decide."""
    credential = room_card(desk.client, "Room 101")
    desk.watch(stop)
    desk.finished(credential)
    assert desk.events(credential) == ["issued"]


BY_VISIONLINE = Scenario(
    an_override_on_visionlines_encoder,
    ("visionline_session", "visionline_look", "visionline_order", "note_order", "begin_writing", "record_verified"),
)
BY_THE_SERVICE = Scenario(
    an_override_that_the_service_encodes,
    (
        "seam_encoder",
        "seam_scan",
        "seam_credential",
        "seam_order",
        "seam_attempt",
        "note_order",
        "begin_writing",
        "record_verified",
    ),
)


@pytest.fixture(scope="module")
def by_visionline(tmp_path_factory: pytest.TempPathFactory, stage: Stage) -> Proof:
    return Proof(tmp_path_factory.mktemp("native"), lambda folder: VisionlineDesk(folder, stage, way="native"))


@pytest.fixture(scope="module")
def by_the_service(tmp_path_factory: pytest.TempPathFactory, stage: Stage) -> Proof:
    return Proof(tmp_path_factory.mktemp("seam"), lambda folder: ServicesDesk(folder, stage))


@pytest.mark.promise(1, 2, 3, 4, 5)
def test_killed_at_every_step_of_an_order_to_visionlines_encoder(
    by_visionline: Proof, pcscd: Pcscd, cases: Callable[[int], None]
) -> None:
    kills = by_visionline.of(BY_VISIONLINE)
    assert kills
    cases(kills.total())


@pytest.mark.promise(1, 2, 3, 4, 5)
def test_killed_at_every_step_of_an_order_to_the_service(
    by_the_service: Proof, pcscd: Pcscd, cases: Callable[[int], None]
) -> None:
    kills = by_the_service.of(BY_THE_SERVICE)
    assert kills
    cases(kills.total())


def test_every_step_of_the_services_encoders_has_a_case(
    by_visionline: Proof, by_the_service: Proof, pcscd: Pcscd, record_property: Callable[[str, object], None]
) -> None:
    by_visionline.of(BY_VISIONLINE)
    missing = steps_of_the_services_encoders() - by_the_service.of(BY_THE_SERVICE).keys()
    record_property("killed", by_visionline.covered() | by_the_service.covered())
    assert not missing, f"no story kills the agent at {sorted(missing)}"
