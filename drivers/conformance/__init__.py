"""The test suites that drivers pass, ours and those of others: one for cards that are written, one for a vendor's keys.

A driver's tests subclass a suite and define two pytest fixtures: `encoder`, open, and `feeder`, the hands that bring
cards to it. Anything that can bring a card and read it back by other means will do: a simulator, or a robot. What a
driver doesn't offer is skipped: vendors' images, where `CardImage` isn't among its contents.

    class TestMyDriver(EncoderConformance):
        @pytest.fixture
        def feeder(self): ...

        @pytest.fixture
        def encoder(self, feeder): ...
"""

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{part}" for part in ("cards", "common", "images", "orders", "pulled", "torn_images"))
)

from drivers.conformance.cards import EncoderConformance  # noqa: E402 - pytest has to know before
from drivers.conformance.hands import TagHands  # noqa: E402
from drivers.conformance.images import ImageFeeder  # noqa: E402
from drivers.conformance.orders import KeyFeeder, VendorConformance  # noqa: E402
from drivers.conformance.pulled import CardFeeder  # noqa: E402

__all__ = ["CardFeeder", "EncoderConformance", "ImageFeeder", "KeyFeeder", "TagHands", "VendorConformance"]
