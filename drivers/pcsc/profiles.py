"""In what readers differ, by the name that pcscd gives them.

Each fact bears its certainty: [D] documented by the maker or seen in a public implementation, [B] believed only.
Nobody had these readers at hand when this was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

from drivers.encoder import Outcome
from drivers.pcsc import codec


@dataclass(frozen=True)
class Profile:
    """How to speak to one family of readers.

    `patterns` are matched against the upper-case reader name. `key_structure` is P1 of "load key" (00h volatile,
    20h non-volatile). `tag_commands` says whether raw tag commands pass through a PN532. `signals` are the commands
    that show an outcome, `on_first_card` those sent once per opening, with the first card there.
    """

    name: str
    patterns: tuple[str, ...]
    key_structure: int = 0x00
    key_slot: int = 0x00
    tag_commands: bool = False
    signals: Mapping[Outcome, bytes] = field(default_factory=lambda: MappingProxyType({}))
    on_first_card: tuple[bytes, ...] = ()


ACR122U = Profile(
    name="ACR122U",
    patterns=("*ACR122*", "*ACR 122*"),
    key_structure=0x00,  # [D] ACR122U API v2.04, 5.2: 00h, locations 00h and 01h
    tag_commands=True,  # [D] v2.04, 6.1: Direct Transmit reaches the PN532; GET_VERSION of EV1 and NTAG needs it
    signals=MappingProxyType(
        {
            # [D] v2.04, 6.2: green on for 200 ms with one beep; red on, twice 200 ms, with two beeps
            "done": codec.led_and_buzzer(0x28, on=2, off=0, times=1, link=0x01),
            "failed": codec.led_and_buzzer(0x50, on=2, off=2, times=2, link=0x01),
        }
    ),
    on_first_card=(codec.BUZZER_ON_POLL_OFF,),  # [D] v2.04, 6.7: else it beeps before anything is written
)

ACR1252U = Profile(name="ACR1252U", patterns=("*ACR1252*",))  # [D] ACR1252U reference manual, 5.2.2: key structure 00h

OMNIKEY = Profile(
    name="OMNIKEY 5x22/5x27",
    patterns=("*OMNIKEY*5?2*",),
    key_structure=0x20,  # [D] HID-OMNIKEY-Sample-Codes: MIFARE keys go to non-volatile memory
)

UTRUST = Profile(name="uTrust 3700 F", patterns=("*UTRUST 37*", "*IDENTIV*37*"))  # [B] takes keys as part 3 has it

GENERIC = Profile(name="generic PC/SC reader", patterns=("*",))  # [B] volatile key, slot 0, as part 3 has it

PROFILES = (ACR122U, ACR1252U, OMNIKEY, UTRUST, GENERIC)


def profile_for(reader: str) -> Profile:
    """The first profile whose patterns fit the reader's name; at last the generic one."""
    name = reader.upper()
    return next(p for p in PROFILES if any(fnmatchcase(name, pattern) for pattern in p.patterns))
