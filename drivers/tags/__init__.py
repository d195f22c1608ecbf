"""How a Type 2 tag or a MIFARE Classic is written in safe order and read back, over any link."""

from drivers.tags.classic import ClassicTag
from drivers.tags.encoding import encode_tag, scan_tag
from drivers.tags.link import Refused, TagLost
from drivers.tags.options import TagOptions
from drivers.tags.serial import SerialType2Encoder
from drivers.tags.tag import Tag
from drivers.tags.type2 import Type2Tag

__all__ = [
    "ClassicTag",
    "Refused",
    "SerialType2Encoder",
    "Tag",
    "TagLost",
    "TagOptions",
    "Type2Tag",
    "encode_tag",
    "scan_tag",
]
