"""The encoder as a whole: its device and its server come and go, each by itself."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest

from agent.sandbox.visionline import Fault, Visionline, serving_visionline
from drivers.conformance.common import Conformance
from drivers.content import VisionlineOrder
from drivers.errors import BridgeDisconnected, EncoderNotOnline, EncodingInterrupted
from drivers.virtual.driver import VirtualEncoder
from drivers.visionline.driver import VisionlineEncoder
from drivers.visionline.image import ImageEncoder
from drivers.visionline.trouble import (
    CertificateChanged,
    CertificateUnknown,
    ClockSkew,
    ServerAway,
    SessionRefused,
    WrongPassword,
    WrongSignature,
)
from tests.drivers.visionline.front_desk import FrontDesk, front_desk, options_for


@pytest.fixture
def desk() -> Iterator[FrontDesk]:
    with front_desk() as desk:
        yield desk


def make(visionline: Visionline, **changes: object) -> VisionlineEncoder:
    options = VisionlineEncoder.options_model.model_validate(options_for(visionline, **changes))
    return VisionlineEncoder("Front desk", options)


def inner_of(encoder: VisionlineEncoder) -> VirtualEncoder:
    assert isinstance(encoder.encoder, ImageEncoder)
    assert isinstance(encoder.encoder.inner, VirtualEncoder)
    return encoder.encoder.inner


class Waits:
    """Stands in for the event that waits for a server, and tells how long it was waited for."""

    def __init__(self) -> None:
        self.told: list[float] = []

    def wait(self, timeout: float) -> bool:
        self.told.append(timeout)
        return False

    def clear(self) -> None: ...


class TestConformance(Conformance):
    """What every encoder owes the agent."""

    @pytest.fixture
    def encoder(self, desk: FrontDesk) -> VisionlineEncoder:
        return desk.encoder

    @pytest.fixture
    def feeder(self, desk: FrontDesk) -> VirtualEncoder:
        return desk.inner


def test_its_device_and_its_server_are_named(desk: FrontDesk) -> None:
    host = desk.visionline.url.removeprefix("https://")
    assert desk.encoder.device == f"virtual cards of Front desk, Visionline at {host}"
    desk.encoder.close()
    assert desk.encoder.device == ""


def test_it_takes_orders_for_visionline_s_cards_and_nothing_else(desk: FrontDesk) -> None:
    can = desk.encoder.capabilities
    assert can.contents == {VisionlineOrder}
    assert (can.uids, can.presence, can.scans, can.recalls, can.verified_by) == (True, True, True, True, "read_back")
    assert can.media == desk.inner.capabilities.media


def test_what_needs_a_licensed_server_is_told_in_sentences() -> None:
    assert len(VisionlineEncoder.unverified) >= 10
    assert all(fact.endswith(".") for fact in VisionlineEncoder.unverified)


def test_it_is_online_when_both_are_there(tmp_path: Path) -> None:
    with serving_visionline(folder=tmp_path / "server") as visionline:
        encoder = make(visionline)
    with pytest.raises(ServerAway) as caught:
        encoder.open()
    assert isinstance(caught.value, EncoderNotOnline)
    assert inner_of(encoder).device == ""  # let go
    waits = encoder._interrupted = Waits()  # type: ignore[assignment]
    encoder.wait_for_device(7.0)
    assert waits.told == [7.0]
    encoder.close()
    encoder.close()


def test_a_password_that_was_refused_is_not_tried_again_at_once_and_a_new_one_is(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("wrong")
    with serving_visionline() as visionline:
        encoder = make(visionline, password_file=file)
        waits = encoder._interrupted = Waits()  # type: ignore[assignment]
        for _ in range(20):
            with pytest.raises(WrongPassword):
                encoder.open()
            encoder.wait_for_device(1.0)
        assert waits.told == [1.0] * 20
        assert [asked.step for asked in visionline.server.asked] == ["session"]
        file.write_text(visionline.password_file.read_text())
        encoder.open()
        encoder.close()


@pytest.mark.parametrize(
    ("fault", "kind"), [(Fault.WRONG_SIGNATURE, WrongSignature), (Fault.SESSION_FORGOTTEN, SessionRefused)]
)
def test_a_server_that_takes_no_signature_makes_the_encoder_offline_and_no_login_after_login(
    fault: Fault, kind: type[EncoderNotOnline]
) -> None:
    with serving_visionline() as visionline:
        encoder = make(visionline)
        visionline.server.fail_next("look", fault, times=None)
        for _ in range(20):
            with pytest.raises(EncoderNotOnline) as caught:
                encoder.open()
            assert type(caught.value) is kind
        assert [asked.step for asked in visionline.server.asked] == ["session", "doors"] * 2


def test_a_server_that_shows_the_agent_no_doors_is_online(desk: FrontDesk) -> None:
    desk.encoder.close()
    desk.server.fail_next("doors", Fault.REFUSED)
    desk.encoder.open()
    uid = desk.put()
    desk.encode()
    assert desk.opens(uid)


def test_a_wait_for_the_server_ends_by_an_interrupt(tmp_path: Path) -> None:
    with serving_visionline(folder=tmp_path / "server") as visionline:
        encoder = make(visionline)
    with pytest.raises(ServerAway):
        encoder.open()
    threading.Timer(0.02, encoder.interrupt).start()
    encoder.wait_for_device(60.0)


def test_an_interrupt_that_has_ended_a_wait_for_a_card_ends_no_other(tmp_path: Path) -> None:
    with serving_visionline(folder=tmp_path / "server") as visionline:
        encoder = make(visionline)
        encoder.open()
        encoder.interrupt()
        assert not encoder.wait_for_card()
    encoder.close()
    with pytest.raises(ServerAway):
        encoder.open()
    begun = monotonic()
    encoder.wait_for_device(0.3)
    assert monotonic() - begun > 0.25


def test_an_encoder_that_is_away_is_waited_for_by_itself(desk: FrontDesk) -> None:
    desk.inner.fail_next("offline")
    with pytest.raises(EncoderNotOnline):
        desk.encoder.wait_for_card()
    desk.encoder.close()
    waits = desk.encoder._interrupted = Waits()  # type: ignore[assignment]
    desk.encoder.wait_for_device(60.0)
    assert waits.told == []
    desk.encoder.open()
    desk.put()
    desk.encode()


def test_a_server_that_went_away_is_the_next_job_s_trouble_and_only_its(tmp_path: Path) -> None:
    with contextlib.ExitStack() as first:
        visionline = first.enter_context(serving_visionline(folder=tmp_path / "server"))
        port = int(visionline.url.rpartition(":")[2])
        encoder = make(visionline)
        encoder.open()
        first.close()
        inner_of(encoder).put(kind="Ultralight EV1")
        assert encoder.wait_for_card()
        away = FrontDesk(visionline, encoder)
        for _ in range(2):
            with pytest.raises(BridgeDisconnected):
                away.encode()
        assert not away.journal.bound
        assert not away.journal.notes
    with serving_visionline(folder=tmp_path / "server", port=port) as again:
        back = FrontDesk(again, encoder)
        result = back.encode()
        assert back.opens(result.uid)
    encoder.close()


def test_a_session_that_ended_is_followed_by_another_and_the_order_is_given_once(desk: FrontDesk) -> None:
    desk.put()
    desk.server.fail_next("order", Fault.SESSION_FORGOTTEN)
    desk.encode()
    assert desk.server.overrides == 1


@pytest.mark.parametrize("pinned", [False, True])
def test_another_certificate_ends_the_conversation_before_anything_is_ordered(pinned: bool) -> None:
    with serving_visionline() as visionline:
        known = {"ca_file": None, "fingerprint": visionline.fingerprint} if pinned else {}
        encoder = make(visionline, **known)
        encoder.open()
        desk = FrontDesk(visionline, encoder)
        desk.put()
        visionline.renew_certificate(another_authority=True)
        with pytest.raises((CertificateChanged, CertificateUnknown)) as caught:
            desk.encode()
        assert isinstance(caught.value, EncoderNotOnline)
        assert not desk.journal.bound
        assert not visionline.server.cards
        encoder.close()


def test_clocks_that_are_apart_are_said_to_be(desk: FrontDesk) -> None:
    desk.put()
    desk.server.clock = lambda: datetime.now(UTC) + timedelta(hours=2)
    with pytest.raises(ClockSkew):
        desk.encode()
    assert not desk.journal.bound


@pytest.mark.parametrize("fault", [Fault.WRONG_SIGNATURE, Fault.WRONG_DATE])
def test_an_order_that_is_not_even_looked_at_is_taken_back(desk: FrontDesk, fault: Fault) -> None:
    desk.put()
    desk.server.fail_next("order", fault, times=2)
    with pytest.raises(EncoderNotOnline) as caught:
        desk.encode()
    assert not isinstance(caught.value, EncodingInterrupted)
    assert desk.journal.stages == ["asked", None]


def test_an_encoder_that_goes_away_in_the_middle_leaves_the_order_to_be_finished(desk: FrontDesk) -> None:
    uid = desk.put()
    ordered = desk.server.order

    def order(*given: object) -> object:
        answer = ordered(*given)
        desk.inner.fail_next("offline")
        return answer

    desk.server.order = order
    with pytest.raises(EncodingInterrupted):
        desk.encode()
    desk.server.order = ordered
    desk.encoder.close()
    desk.encoder.open()
    assert desk.encoder.wait_for_card()
    desk.encode()
    assert desk.opens(uid)
    assert desk.server.overrides == 1


def test_the_session_is_given_back(desk: FrontDesk) -> None:
    desk.encoder.close()
    desk.encoder.close()
    assert desk.asked_for("logout") == 1
