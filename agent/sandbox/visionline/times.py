"""Visionline's times: `20250710T1500`, in the property's own time and without a zone.

That they match `^\\d{8}T\\d{4}$` is documented (fake-seam-connect), and by Mews' help page alone that they are
property-local.
"""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

_FORM = re.compile(r"[0-9]{8}T[0-9]{4}")
_STRPTIME = "%Y%m%dT%H%M"


class PropertyTime:
    """The wall clock of a property in this zone (IANA name)."""

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)

    def moment(self, text: str) -> datetime:
        """The aware moment that a text means; the first of the two where the clocks were put back.

        Raises:
            ValueError: another form, or a date that doesn't exist.
        """
        if not _FORM.fullmatch(text):
            raise ValueError("not a time of the form 20250710T1500")
        return datetime.strptime(text, _STRPTIME).replace(tzinfo=self._zone)

    def text(self, moment: datetime) -> str:
        """The moment as the property's clocks show it, to the minute begun."""
        return moment.astimezone(self._zone).strftime(_STRPTIME)
