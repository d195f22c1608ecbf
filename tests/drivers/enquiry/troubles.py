"""Trouble at every answer to an encoder that makes keys: `KeyTroubles`, a suite to subclass."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar

import pytest

from drivers.content import KeyOrder
from drivers.encoder import Encoder, EncodeRequest
from drivers.enquiry.simulated import SimulatedSoftware
from drivers.errors import EncoderError, EncodingInterrupted
from drivers.port.simulated import Line
from tests.drivers.enquiry.vendors import Vendor
from tests.drivers.port.troubles import LineTroubles

STARTS = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


class KeyTroubles(LineTroubles):
    """Never two keys for one job, and never a card that is wrongly done."""

    options: ClassVar[dict[str, Any]] = {}
    positions = 2
    lasting_positions = 1

    @pytest.fixture
    def encoder(self, software: SimulatedSoftware[Any], line: Line, vendor: Vendor) -> Iterator[Encoder]:
        self.simulated = software
        self.days = count(1)
        encoder = vendor.encoder_at(line, ack_s=0.1, answer_s=0.2, tries=2, **self.options)
        encoder.open()
        yield encoder
        encoder.close()

    def job(self, encoder: Encoder, line: Line) -> None:
        self.card = self.simulated.put()
        self.before = self.simulated.made
        ends = STARTS + timedelta(days=next(self.days))
        encoder.encode(EncodeRequest(KeyOrder(("101",), STARTS, ends, joins=False), lambda _: None))
        assert self.card.key is not None
        assert self.card.key.ends.replace(tzinfo=UTC) == ends
        assert self.simulated.made == self.before + 1

    def check(self, error: EncoderError | None, line: Line) -> None:
        assert self.simulated.made - self.before <= 1, "no key is ordered twice for one job"
        assert error is None or isinstance(error, EncodingInterrupted) or self.simulated.made == self.before
