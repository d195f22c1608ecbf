"""The simulator's magnetic stripes: three tracks of bits, after ISO/IEC 7811-2. The driver uses nothing of this."""

from __future__ import annotations

from typing import Literal

_ALPHABETS = {
    1: " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_",
    2: "0123456789:;<=>?",
    3: "0123456789:;<=>?",
}
_START = {1: "%", 2: ";", 3: ";"}
_DATA_BITS = {1: 6, 2: 4, 3: 4}


class Stripe:
    """A card's stripe. `bits` are each track's, in the order of a swipe; none is a track that was never written."""

    def __init__(self, coercivity: Literal["high", "low"] = "high", **texts: str) -> None:
        """`t1`, `t2` and `t3` are what the tracks hold, without sentinels."""
        self.coercivity = coercivity
        self.bits: dict[int, str] = {1: "", 2: "", 3: ""}
        self.density: dict[int, int] = {}
        """Bits an inch at which a track was written last."""
        for name, text in texts.items():
            track = int(name.removeprefix("t"))
            self.bits[track] = "0" * 22 + framed(track, text) + "0" * 9

    def text(self, track: int) -> str | None:
        """What another reader finds on the track, without sentinels: "" where there is nothing, None where it can't."""
        return read(track, self.bits[track])

    def tear(self, track: int, bits: str) -> None:
        """Write half of these bits over the track's."""
        half = len(bits) // 2
        self.bits[track] = bits[:half] + self.bits[track][half:]


def allows(track: int, text: str) -> bool:
    """Whether a device writes this: sentinels are its own to add."""
    return all(char in _ALPHABETS[track] and char not in (_START[track], "?") for char in text)


def framed(track: int, text: str) -> str:
    """The bits that say this text: start sentinel, text, end sentinel, check character."""
    characters = [_data_bits(track, char) for char in _START[track] + text + "?"]
    check = "".join(str(sum(map(int, column)) % 2) for column in zip(*characters, strict=True))
    return "".join(bits + _odd(bits) for bits in (*characters, check))


def read(track: int, bits: str) -> str | None:
    """See `Stripe.text`."""
    size = _DATA_BITS[track] + 1
    start = bits.find("1")
    if start < 0:
        return ""
    text = ""
    columns = [0] * _DATA_BITS[track]
    for at in range(start, len(bits) - size + 1, size):
        data, parity = bits[at : at + size - 1], bits[at + size - 1]
        columns = [column ^ int(bit) for column, bit in zip(columns, data, strict=True)]
        if parity != _odd(data):
            return None
        if text.endswith("?"):
            whole = text.startswith(_START[track]) and not any(columns)
            return text[1:-1] if whole else None
        text += _ALPHABETS[track][int(data[::-1], 2)]
    return None


def _data_bits(track: int, char: str) -> str:
    return format(_ALPHABETS[track].index(char), f"0{_DATA_BITS[track]}b")[::-1]


def _odd(bits: str) -> str:
    return "0" if bits.count("1") % 2 else "1"
