"""Trouble at every answer, over each wire: never two keys for one job, and never a card that is wrongly done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar

import pytest

from drivers.content import KeyOrder
from drivers.encoder import Encoder, EncodeRequest
from drivers.errors import EncoderError, EncodingInterrupted
from drivers.pms.driver import PmsEncoder, PmsOptions
from drivers.pms.simulator import PmsSoftware
from drivers.port.simulated import Line
from tests.drivers.port.troubles import LineTroubles

STARTS = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


class PmsTroubles(LineTroubles):
    options: ClassVar[dict[str, Any]] = {}
    positions = 2
    lasting_positions = 1

    @pytest.fixture
    def software(self) -> PmsSoftware:
        self.software = PmsSoftware()
        self.days = count(1)
        return self.software

    @pytest.fixture
    def line(self, software: PmsSoftware) -> Iterator[Line]:
        with type(self).wire(software) as line:
            yield line

    wire: ClassVar[Any] = Line.tcp

    @pytest.fixture
    def encoder(self, line: Line) -> Iterator[Encoder]:
        options = PmsOptions(port=line.port, time_zone="UTC", pause_s=0.05, ack_s=0.1, answer_s=0.2, tries=2)
        encoder = PmsEncoder("Desk", options.model_copy(update=self.options))
        encoder.open()
        yield encoder
        encoder.close()

    def job(self, encoder: Encoder, line: Line) -> None:
        self.card = self.software.put()
        self.before = self.software.made
        ends = STARTS + timedelta(days=next(self.days))
        encoder.encode(EncodeRequest(KeyOrder(("101",), STARTS, ends, joins=False), lambda _: None))
        assert self.card.key is not None
        assert self.card.key.ends.replace(tzinfo=UTC) == ends
        assert self.software.made == self.before + 1

    def check(self, error: EncoderError | None, line: Line) -> None:
        assert self.software.made - self.before <= 1, "no key is ordered twice for one job"
        assert error is None or isinstance(error, EncodingInterrupted) or self.software.made == self.before


class TestSerial(PmsTroubles):
    wire: ClassVar = Line.pty


class TestWithoutReading(PmsTroubles):
    """Three answers: to the enquiry, to the frame, to the order."""

    options: ClassVar = {"reads": False}
    positions = 3
