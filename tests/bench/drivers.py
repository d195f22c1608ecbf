"""Each driver with a simulator, without the agent: what it asks its device for one card, and how well it uses a line.

A round trip is something that the host says and then waits for an answer to. The line passes ten bits a byte at the
device's speed; the devices take no time of their own to think, and hands swipe at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

from drivers.conformance import TagHands
from drivers.content import CardNumber, Content, KeyOrder
from drivers.encoder import Encoder, EncodeRequest
from drivers.msr605.driver import Msr605Encoder
from drivers.msr605.options import Msr605Options
from drivers.msr605.simulator import Msr605Simulator
from drivers.msr605.stripe import Stripe
from drivers.nfc.driver import NfcEncoder, NfcOptions
from drivers.nfc.field import Type2InField
from drivers.nfc.simulator import Pn532
from drivers.pcsc.driver import PcscEncoder, PcscOptions
from drivers.pcsc.simulator import SimulatedCard
from drivers.pms.driver import PmsEncoder, PmsOptions
from drivers.pms.simulator import PmsSoftware
from drivers.port.simulated import Line
from drivers.twn4.driver import Twn4Encoder, Twn4Options
from drivers.twn4.simulator import SimulatedTwn4
from drivers.vision.driver import VisionEncoder, VisionOptions
from drivers.vision.simulator import VisionSoftware
from tests.bench.figures import median, spread
from tests.rig.cards import fresh_card
from tests.rig.pcscd import Pcscd

CARDS = 5
NUMBER = "4071882619550042"
"""16 characters: 26 bytes as NDEF on a tag, which are 7 pages."""

LEAST = {"pcsc": 12, "twn4": 13, "nfc": 12, "msr605": 3, "pms": 6, "vision": 6}
"""The fewest round trips for one card, with the commands that the drivers' docstrings name.

- A tag, 12: its UID, one look (the capability container and what comes with it), 7 pages to write, 2 reads to compare
  all of them, and the UID again, for it must be the same card. So it is on pcsc, and with the PN532's own commands
  (InListPassiveTarget, InDataExchange). nfcpy takes 80: it reads more than a look needs, and each command to the tag is
  four to the chip, two for registers, one for the time-out and the command itself.
- twn4, 13: SearchTag doesn't tell a MIFARE Classic from an NTAG; one more question does.
- msr605, 3: a swipe to look, one to write, one to verify. Lamps are not answered.
- pms and vision, 6: read, order, read back; each begins with an enquiry that is to be answered first.
"""


@dataclass
class Bench:
    """An open encoder at its line, and hands that bring a fresh card, and take it away."""

    encoder: Encoder
    line: Line
    bring: Callable[[], object]
    take: Callable[[], object]
    content: Content = field(default=CardNumber(NUMBER))

    @property
    def baud(self) -> int:
        """The line's speed now: it may have been changed since the line was made."""
        assert self.line.baud is not None
        return self.line.baud


def run(folder: Path) -> dict[str, Any]:
    """driver_round_trips, driver_round_trips_least, driver_line_ratio: by driver."""
    trips: dict[str, int] = {"pcsc": _apdus(folder)}
    ratios: dict[str, float] = {}
    details: dict[str, Any] = {}
    for name, opened in BENCHES.items():
        with opened() as bench:
            cards, baud = [one_card(bench) for _ in range(CARDS)], bench.baud
        trips[name] = max(card.trips for card in cards)
        ratios[name] = median([card.ratio for card in cards])
        details[name] = {
            "baud": baud,
            "bytes": max(card.size for card in cards),
            "ms": spread([card.seconds * 1000 for card in cards]),
            "ratio": spread([card.ratio for card in cards]),
        }
    return {
        "driver_round_trips": trips,
        "driver_round_trips_least": LEAST,
        "driver_line_ratio": ratios,
        "details": details
        | {"how": f"median of {CARDS} cards each; `encode` alone, and the first swipe where one is."},
    }


@dataclass(frozen=True)
class _Card:
    trips: int
    size: int
    seconds: float
    ratio: float


def one_card(bench: Bench) -> _Card:
    """Encode a fresh card. What is swiped has to be announced in the time that counts: that is the look at it."""
    encoder, line = bench.encoder, bench.line
    bench.bring()
    if encoder.capabilities.presence:
        assert encoder.wait_for_card()
    line.traffic.clear()
    began = perf_counter()
    if not encoder.capabilities.presence:
        assert encoder.wait_for_card()
    assert encoder.encode(EncodeRequest(bench.content, lambda _: None)).written
    seconds = perf_counter() - began
    traffic = list(line.traffic)
    bench.take()
    assert encoder.wait_for_removal()
    size = sum(len(data) for _, data in traffic)
    said = [who for who, _ in traffic]
    trips = sum(pair == ("host", "device") for pair in pairwise(said))
    return _Card(trips, size, seconds, seconds / (10 * size / bench.baud))


@contextmanager
def _opened(encoder: Encoder) -> Iterator[Encoder]:
    encoder.open()
    try:
        yield encoder
    finally:
        encoder.close()


@contextmanager
def _twn4() -> Iterator[Bench]:
    hands = TagHands(SimulatedTwn4())
    with (
        Line.pty(hands.reader, baud=9600) as line,
        _opened(Twn4Encoder("Desk", Twn4Options(port=line.port))) as encoder,
    ):
        yield Bench(encoder, line, hands.put, hands.take)


@contextmanager
def _nfc() -> Iterator[Bench]:
    reader = Pn532()
    with Line.pty(reader, baud=115200) as line:
        reader.listen_to(line)
        with _opened(NfcEncoder("Desk", NfcOptions(port=line.port))) as encoder:
            # The chip's first speed, as behind adapters that know no higher one: nfcpy has raised it to 921600 baud, at
            # which a pseudo terminal and two threads take longer than the bytes do.
            line.baud = 115200
            yield Bench(encoder, line, lambda: reader.put(Type2InField(fresh_card("NTAG213"))), reader.take)


@contextmanager
def _msr605() -> Iterator[Bench]:
    device = Msr605Simulator()
    with (
        Line.pty(device, baud=9600) as line,
        _opened(Msr605Encoder("Desk", Msr605Options(port=line.port))) as encoder,
    ):
        yield Bench(encoder, line, lambda: device.hold(Stripe()), lambda: device.hold(None))


@contextmanager
def _pms() -> Iterator[Bench]:
    software = PmsSoftware()
    with (
        Line.pty(software, baud=9600) as line,
        _opened(PmsEncoder("Desk", PmsOptions(port=line.port, time_zone="UTC", pause_s=0.05))) as encoder,
    ):
        yield Bench(encoder, line, software.put, software.take, _order())


@contextmanager
def _vision() -> Iterator[Bench]:
    software = VisionSoftware()
    with (
        Line.pty(software, baud=9600) as line,
        _opened(VisionEncoder("Desk", VisionOptions(port=line.port, time_zone="UTC", pause_s=0.05))) as encoder,
    ):
        yield Bench(encoder, line, software.put, software.take, _order())


def _order() -> KeyOrder:
    starts = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return KeyOrder(("101",), starts, starts + timedelta(days=2), joins=False, number=NUMBER)


BENCHES: dict[str, Callable[[], AbstractContextManager[Bench]]] = {
    "twn4": _twn4,
    "nfc": _nfc,
    "msr605": _msr605,
    "pms": _pms,
    "vision": _vision,
}


def _apdus(folder: Path) -> int:
    """What a PC/SC card is sent. There is no line: how the time is used is `encode_overhead`."""
    rig = Pcscd(folder)
    os.environ["PCSCLITE_CSOCK_NAME"] = str(rig.socket)
    rig.start()
    try:
        with _opened(PcscEncoder("Desk", PcscOptions(reader=rig.readers[0]))) as encoder:
            card = SimulatedCard(fresh_card("NTAG213"))
            rig.put(card)
            assert encoder.wait_for_card()
            encoder.encode(EncodeRequest(CardNumber(NUMBER), lambda _: None))
            return len(card.apdus)
    finally:
        rig.clear()
        rig.stop()
