"""The raw layout: text or digits in a field of fixed size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.encoder import CardState
from drivers.errors import Unencodable
from drivers.layouts.raw import RawLayout

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=16)


@given(PRINTABLE)
def test_ascii_round_trip(text: str) -> None:
    layout = RawLayout(16)
    data = layout.encode(text)
    assert len(data) == 16
    assert layout.decode(data) == (CardState.NUMBER, text)


@given(st.binary(min_size=7, max_size=7).filter(any))
def test_hex_round_trip(data: bytes) -> None:
    layout = RawLayout(7, "hex")
    assert layout.encode(data.hex().upper()) == data
    assert layout.decode(data) == (CardState.NUMBER, data.hex())


@given(st.binary(min_size=8, max_size=8), st.sampled_from(["ascii", "hex"]))
def test_any_bytes_decode(data: bytes, encoding: str) -> None:
    state, text = RawLayout(8, encoding).decode(data)  # type: ignore[arg-type]
    assert (state is CardState.NUMBER) == (text is not None)


@pytest.mark.parametrize("data", [b"AB\0C", b"A\x01", b"\xff\xff"])
def test_other_bytes_are_foreign(data: bytes) -> None:
    assert RawLayout(4).decode(data.ljust(4, b"\0")) == (CardState.FOREIGN, None)


def test_all_zero_is_blank() -> None:
    assert RawLayout(4).decode(bytes(4)) == (CardState.BLANK, None)


@pytest.mark.parametrize("text", ["", "ü", "A\n", "ABCDE"])
def test_text_that_does_not_fit(text: str) -> None:
    with pytest.raises(Unencodable):
        RawLayout(4).encode(text)


@pytest.mark.parametrize("text", ["", "0102030", "010203", "0102030405", "0102030g", " 1020304"])
def test_digits_that_do_not_fit(text: str) -> None:
    with pytest.raises(Unencodable, match="8 hexadecimal digits"):
        RawLayout(4, "hex").encode(text)
