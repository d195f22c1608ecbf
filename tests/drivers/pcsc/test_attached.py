from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.encoder import Attached
from drivers.pcsc.attached import told_apart
from drivers.pcsc.driver import PcscEncoder, PcscOptions
from drivers.pcsc.readers import Reader, Wanted, the_one
from drivers.pcsc.simulator import SimulatedCard
from drivers.pcsc.winscard import Context
from tests.rig.cards import fresh_card
from tests.rig.pcscd import Pcscd

ACR122U = "ACS ACR122U PICC Interface"
ACR1252U = "ACS ACR1252 Dual Reader [ACR1252 Dual Reader {}] ({}) {} 00"
OMNIKEY = "HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422CL Smartcard Reader] (KX1) 02 00"

SIMPLE = [f"{ACR122U} 00 00", "Identiv uTrust 3700 F CL Reader 01 00", OMNIKEY]
TWO_SLOTS = [f"{ACR122U} 00 00", f"{ACR122U} 00 01"]
LIKE = [f"{ACR122U} 00 00", f"{ACR122U} 01 00"]
ONE_NAME_BEGINS_THE_OTHER = ["Reader 00 00", "Reader Plus 01 00"]


def nobody(name: str) -> Reader:
    raise AssertionError(f"{name} was opened though its name says it all")


def meant(options: dict[str, str], readers: list[Reader]) -> str | None:
    """The reader that the driver would choose with these options."""
    checked = PcscOptions.model_validate(options)
    wanted = Wanted(checked.reader, checked.serial, checked.usb_path)
    return the_one([reader.name for reader in readers if wanted.fits(reader)])


@pytest.mark.parametrize("names", [SIMPLE, TWO_SLOTS, ONE_NAME_BEGINS_THE_OTHER])
def test_readers_of_different_kinds_are_told_apart_by_name_and_none_is_opened(names: list[str]) -> None:
    found = told_apart(names, nobody)
    assert [entry.device for entry in found] == names[: len(found)]
    later = [Reader(name.replace(" 0", " 1")) for name in names]  # their numbers have changed
    for entry in found:
        assert set(entry.options) == {"reader"}
        assert meant(entry.options, [Reader(name) for name in names]) == entry.device
        assert meant(entry.options, later) == entry.device.replace(" 0", " 1")


def test_a_reader_with_two_slots_is_one() -> None:
    assert len(told_apart(TWO_SLOTS, nobody)) == 1


def test_the_slot_for_a_chip_of_its_own_is_no_encoder() -> None:
    names = [ACR1252U.format("PICC", "RR554", "00"), ACR1252U.format("SAM", "RR554", "01")]
    assert [entry.device for entry in told_apart(names, nobody)] == names[:1]


@pytest.mark.parametrize("told", ["serial", "usb_path"])
def test_like_readers_are_told_apart_by_what_they_say(told: str) -> None:
    readers = {name: replace(Reader(name), **{told: f"1-{number}"}) for number, name in enumerate(LIKE)}
    found = told_apart(LIKE, readers.__getitem__)
    assert [entry.options[told] for entry in found] == ["1-0", "1-1"]
    swapped = [replace(reader, name=other) for reader, other in zip(readers.values(), reversed(LIKE), strict=True)]
    assert [meant(entry.options, swapped) for entry in found] == LIKE[::-1]


def test_like_readers_that_say_nothing_are_meant_by_their_whole_name() -> None:
    assert told_apart(LIKE, Reader) == [Attached(name, {"reader": name}) for name in LIKE]


@pytest.mark.pcscd
def test_pcscds_readers_are_found(pcscd: Pcscd) -> None:
    found = PcscEncoder.attached()
    assert [entry.device for entry in found] == [name for name in pcscd.readers if name.endswith("00")]
    for entry in found:
        encoder = PcscEncoder("Desk", PcscOptions.model_validate(entry.options))
        encoder.open()
        assert encoder.device == entry.device
        encoder.close()


@pytest.mark.pcscd
def test_a_reader_in_use_is_not_opened(pcscd: Pcscd, monkeypatch: pytest.MonkeyPatch) -> None:
    from drivers.pcsc import attached

    asked: list[str] = []
    monkeypatch.setattr(attached, "describe", lambda _, name: asked.append(name) or Reader(name))
    context = Context()
    first, second = pcscd.readers[0], pcscd.readers[2]
    pcscd.put(SimulatedCard(fresh_card("NTAG213")), 0)
    while not context.state(first).card:
        context.wait({first: context.state(first).as_known}, 5000)
    held = context.connect(first)
    try:
        assert [attached._described(context, name).name for name in (first, second)] == [first, second]
    finally:
        held.disconnect()
        context.release()
        pcscd.take()
    assert asked == [second]


@pytest.mark.pcscd
def test_without_pcscd_there_is_none(pcscd: Pcscd) -> None:
    pcscd.stop()
    try:
        assert PcscEncoder.attached() == []
    finally:
        pcscd.restart()
