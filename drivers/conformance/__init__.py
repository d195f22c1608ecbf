"""The test suites that drivers pass, ours and those of others: one for card numbers, one for a vendor's keys.

A driver's tests subclass a suite and define two pytest fixtures: `encoder`, open, and `feeder`, the hands that bring
cards to it. Anything that can bring a card and read it back by other means will do: a simulator, or a robot.

    class TestMyDriver(EncoderConformance):
        @pytest.fixture
        def feeder(self): ...

        @pytest.fixture
        def encoder(self, feeder): ...
"""

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in ("cards", "common", "orders", "pulled")))

from drivers.conformance.cards import EncoderConformance  # noqa: E402 - pytest has to know before
from drivers.conformance.hands import TagHands  # noqa: E402
from drivers.conformance.orders import KeyFeeder, VendorConformance  # noqa: E402
from drivers.conformance.pulled import CardFeeder  # noqa: E402

__all__ = ["CardFeeder", "EncoderConformance", "KeyFeeder", "TagHands", "VendorConformance"]
