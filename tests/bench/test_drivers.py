import pytest

from tests.bench import drivers

NFCPY = 80
"""What nfcpy asks the chip: see `drivers.LEAST`."""


@pytest.mark.parametrize("name", drivers.BENCHES)
def test_no_driver_asks_its_device_more_than_it_must(name: str):
    with drivers.BENCHES[name]() as bench:
        assert drivers.one_card(bench).trips <= (NFCPY if name == "nfc" else drivers.LEAST[name])
