"""What the encoding needs of a kind of tag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from drivers.errors import IncompatibleCardFormat
from drivers.tags.area import Area, Pen
from drivers.tags.content import ContentLayout
from drivers.tags.link import TagLink
from drivers.tags.options import TagOptions


@dataclass(frozen=True)
class OpenedTag:
    """A tag whose memory is laid open, before anything was changed.

    `area` is None where nothing of it can be read as content; `obstacle` says why nothing may be written then, or
    though it can be read. `prepare` formats a tag that never was; it is given the number of units that will be used.
    """

    medium: str
    area: Area | None
    layout: ContentLayout
    obstacle: IncompatibleCardFormat | None = None
    prepare: Callable[[int], None] | None = None


class Tag(Protocol):
    """A tag in a reader's field, of a kind that `encode_tag` can handle. One object serves one card, once."""

    @property
    def link(self) -> TagLink:
        """The link that it is reached by."""
        ...

    @property
    def pen(self) -> Pen:
        """What writes on it."""
        ...

    def open(self, options: TagOptions) -> OpenedTag:
        """Find out what it is and where content may go. Reads only.

        Raises:
            TagLost, Refused.
        """
        ...

    def open_whole(self) -> tuple[str, Area]:
        """The kind, for people, and all of the user memory, whatever it is used for. Reads only.

        Raises:
            IncompatibleCardFormat: it is no tag of whose whole memory a vendor's image can be made.
            TagLost, Refused.
        """
        ...
