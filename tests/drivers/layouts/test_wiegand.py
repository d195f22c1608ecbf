"""Wiegand numbers: a golden one, parities, and what doesn't fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.encoder import CardState
from drivers.errors import Unencodable
from drivers.layouts import wiegand
from drivers.layouts.wiegand import WiegandLayout

FORMATS = st.sampled_from(["H10301", "H10304"])


def test_golden_h10301() -> None:
    assert wiegand.pack("H10301", 123, 4567) == 0x2F623AE
    assert WiegandLayout().encode("123-4567") == bytes.fromhex("02F623AE")


@given(FORMATS, st.integers(0, 0xFFFF), st.integers(0, (1 << 19) - 1))
def test_round_trip(form: wiegand.Format, facility: int, number: int) -> None:
    if form == "H10301":
        facility, number = facility & 0xFF, number & 0xFFFF
    layout = WiegandLayout(form)
    text = f"{facility}-{number}"
    assert layout.decode(layout.encode(text)) == (CardState.NUMBER, text)


@given(FORMATS, st.integers(0, 255), st.integers(0, (1 << 19) - 1))
def test_parities_are_counted_as_bits_on_the_wire(form: wiegand.Format, facility: int, number: int) -> None:
    """Independently of `pack`: a string of bits, as a controller sees it; 37 bits overlap in the middle one."""
    number &= 0xFFFF if form == "H10301" else (1 << 19) - 1
    size = {"H10301": 26, "H10304": 37}[form]
    wire = format(wiegand.pack(form, facility, number), f"0{size}b")
    half = {"H10301": 13, "H10304": 19}[form]
    assert wire[:half].count("1") % 2 == 0
    assert wire[-half:].count("1") % 2 == 1


@given(FORMATS, st.data())
def test_a_flipped_bit_at_the_end_is_foreign(form: wiegand.Format, data: st.DataObject) -> None:
    layout = WiegandLayout(form)
    field = bytearray(layout.encode("12-345"))
    bit = data.draw(st.sampled_from([0, {"H10301": 25, "H10304": 36}[form]]))
    field[-1 - bit // 8] ^= 1 << bit % 8
    assert layout.decode(bytes(field)) == (CardState.FOREIGN, None)


@given(FORMATS, st.binary(min_size=5, max_size=5))
def test_any_bytes_decode(form: wiegand.Format, data: bytes) -> None:
    layout = WiegandLayout(form, facility=7)
    state, text = layout.decode(data[: layout.size])
    if text is not None:
        assert layout.encode(text) == data[: layout.size]
    assert (state is CardState.NUMBER) == (text is not None)


def test_a_configured_facility_stands_for_plain_numbers() -> None:
    layout = WiegandLayout(facility=123)
    assert layout.encode("4567") == WiegandLayout().encode("123-4567")
    assert layout.decode(layout.encode("4567")) == (CardState.NUMBER, "4567")
    assert layout.decode(layout.encode("9-4567")) == (CardState.NUMBER, "9-4567")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4567", "facility code"),
        ("256-1", "8 bits"),
        ("1-65536", "16"),
        ("-1", "form"),
        ("", "form"),
        ("12-34-56", "form"),
        ("١-٢", "form"),
        ("04a1b2c3", "form"),
    ],
)
def test_what_does_not_fit_is_refused_without_showing_it(text: str, message: str) -> None:
    with pytest.raises(Unencodable, match=message) as caught:
        WiegandLayout().encode(text)
    assert caught.value.next_step.startswith("Correct")
