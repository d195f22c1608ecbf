"""The image way on a reader: through the real pcscd, and the sandbox's server over TLS."""

from __future__ import annotations

from agent.sandbox.visionline import serving_visionline
from agent.sandbox.visionline.encoders import user_memory
from drivers.pcsc.simulator import SimulatedCard
from drivers.virtual.cards import VirtualType2
from drivers.visionline.driver import VisionlineEncoder
from tests.drivers.visionline.desk import Journal
from tests.drivers.visionline.front_desk import ROOM, SHARED, options_for, stay
from tests.rig.pcscd import Pcscd


def test_an_override_a_joiner_and_a_staff_s_card(pcscd: Pcscd) -> None:
    reader = pcscd.empty_reader()
    on_reader = {"reader": pcscd.readers[reader], "timeout_s": 30.0}
    cards = [VirtualType2("Ultralight EV1", bytes.fromhex(f"0410203040506{last}")) for last in (1, 2)]
    cards.append(VirtualType2("NTAG213", bytes.fromhex("04102030405063")))
    staff = stay(function="staff", joining="auto", card_format="TLCode")
    with serving_visionline() as visionline:
        options = options_for(visionline, card_driver="pcsc", card_options=on_reader)
        encoder = VisionlineEncoder("Front desk", VisionlineEncoder.options_model.model_validate(options))
        encoder.open()
        for card, order in zip(cards, (stay(), stay(joining="join"), staff), strict=True):
            pcscd.put(SimulatedCard(card), reader)
            assert encoder.wait_for_card()
            result = encoder.encode(Journal().request(order))
            assert result.card_number == card.uid().hex()
            assert encoder.scan().live
            pcscd.take(reader)
            assert encoder.wait_for_removal()
        encoder.close()
        for card in cards:
            assert visionline.server.opens(card.uid().hex(), user_memory(card)) == {ROOM, SHARED}
        assert [card.made for card in visionline.server.cards] == ["override", "join", "staff"]
