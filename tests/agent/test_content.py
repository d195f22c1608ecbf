import pytest

from agent.content import content_for, vendor_of
from agent.credential import read
from drivers.content import CardNumber, VendorOrder
from tests.agent.samples import waiting


def test_the_number_goes_on_the_card() -> None:
    assert content_for(read(waiting(card_number="42")), number_is_uid=False) == CardNumber("42")


def test_without_a_number_the_uid_does() -> None:
    content = content_for(read(waiting(card_number=None)), number_is_uid=False)
    assert isinstance(content, CardNumber)
    assert content.on("04a1b2c3d4e5f6") == "04a1b2c3d4e5f6"


def test_a_number_that_was_a_uid_is_not_copied_to_another_card() -> None:
    content = content_for(read(waiting(card_number="04a1b2c3d4e5f6")), number_is_uid=True)
    assert isinstance(content, CardNumber)
    assert content.on("0411111111111f") == "0411111111111f"


@pytest.mark.parametrize("external_type", ["pti_card", "brivo_credential", "hid_credential", "a_new_one", None])
def test_plain_types(external_type: str | None) -> None:
    assert vendor_of(read(waiting(external_type=external_type))) is None


def test_visionline_cards_are_the_vendors_to_make() -> None:
    credential = read(waiting(external_type="visionline_card"))
    assert content_for(credential, number_is_uid=False) == VendorOrder("visionline")
    assert "164d" not in repr(content_for(read(waiting()), number_is_uid=False))
