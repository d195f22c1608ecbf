"""As Elatec delivers the firmware, without check bytes: much goes by unnoticed, and is found by reading back."""

from tests.drivers.twn4.troubles import Troubles


class TestAsciiWithoutCrc(Troubles):
    positions = 3
