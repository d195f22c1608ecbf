import pytest

from drivers.pcsc.simulator import ATRS, PulledAway, SimulatedCard
from drivers.virtual.cards import Effect, factory

# Raw bytes on purpose: the simulator is what the driver's own codec is tested with.
UID7, UID4 = bytes.fromhex("04112233445566"), bytes.fromhex("DEADBEEF")


def ask(card: SimulatedCard, apdu: str) -> str:
    return card.answer(bytes.fromhex(apdu)).hex().upper()


@pytest.fixture
def ntag():
    return SimulatedCard(factory("NTAG213", UID7))


@pytest.fixture
def classic():
    return SimulatedCard(factory("MIFARE Classic 1K", UID4))


def test_every_kind_has_its_atr(ntag, classic):
    assert ntag.atr == ATRS["Type 2"]
    assert classic.atr == ATRS["MIFARE Classic 1K"]
    assert SimulatedCard(factory("MIFARE Classic 4K", UID4)).atr == ATRS["MIFARE Classic 4K"]


@pytest.mark.parametrize("name", ["Type 2", "MIFARE Classic 1K", "MIFARE Classic 4K"])
def test_the_atrs_checksum_is_right(name):
    check = 0
    for byte in ATRS[name][1:]:
        check ^= byte
    assert check == 0


def test_a_type_2_tag_is_read_and_written_by_pages(ntag):
    assert ask(ntag, "FFCA000000") == "041122334455669000"
    assert ask(ntag, "FFD6000504CAFE0001") == "9000"
    assert ask(ntag, "FFB0000504") == "CAFE00019000"
    assert len(ask(ntag, "FFB0000410")) == 36
    assert ask(ntag, "FFB000FF10") == "6A82"
    assert ask(ntag, "FFD6000510" + "00" * 16) == "6700"
    assert ask(ntag, "FFD6000004CAFE0001") == "6581"
    assert ask(ntag, "FFCA010000") == "6A81"
    assert ask(ntag, "00A4040000") == "6A81"


def test_a_classic_wants_a_log_in(classic):
    assert ask(classic, "FFB0000410") == "6982"
    assert ask(classic, "FF82000006A0A1A2A3A4A5") == "9000"
    assert ask(classic, "FF860000050100046000") == "6983"
    assert ask(classic, "FF82000106FFFFFFFFFFFF") == "9000"
    assert ask(classic, "FF860000050100046001") == "9000"
    assert ask(classic, "FFD6000510" + "AB" * 16) == "9000"
    assert ask(classic, "FFB0000510") == "AB" * 16 + "9000"
    classic.activate()
    assert ask(classic, "FFB0000510") == "6982"


def test_an_acr122u_says_6300_until_the_card_is_activated_anew():
    card = SimulatedCard(factory("MIFARE Classic 1K", UID4), acr122u=True)
    assert ask(card, "FF860000050100046000") == "6300"
    assert ask(card, "FFCA000000") == "6300"
    card.activate()
    assert ask(card, "FFCA000000") == "DEADBEEF9000"


def test_an_acr122u_passes_raw_commands_on():
    card = SimulatedCard(factory("NTAG213", UID7), acr122u=True)
    assert ask(card, "FF00000003D44260") == "D543000004040201000F039000"
    assert ask(card, "FF00000003D44261") == "D543019000"
    assert ask(card, "FF00520000") == "9000"
    assert ask(card, "FF0040500402020201") == "9000"


def test_faults_answer_or_pull_the_card_away(ntag):
    ntag.fault = lambda index, apdu: b"\x63\x00" if index == 0 else None
    assert ask(ntag, "FFCA000000") == "6300"
    assert ask(ntag, "FFCA000000").endswith("9000")

    def pull(index: int, apdu: bytes) -> None:
        raise PulledAway(carried_out=True)

    ntag.fault = pull
    with pytest.raises(PulledAway):
        ask(ntag, "FFD6000504CAFE0001")
    assert ntag.memory.memory[20:24].hex() == "cafe0001"
    assert [answer.hex() for _, answer in ntag.apdus] == ["6300", "041122334455669000", ""]


def test_a_memory_that_loses_its_card_pulls_it_away(ntag):
    ntag.memory.fault = lambda operation: Effect.HALF
    with pytest.raises(PulledAway):
        ask(ntag, "FFD6000504CAFE0001")
    assert ntag.memory.memory[20:24].hex() == "cafe00fe"
