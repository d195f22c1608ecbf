"""A credential of the sandbox service, issued by the whole agent on a key that Vision makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.agent.guests import sandbox, service
from tests.drivers.enquiry.end_to_end import GuestKeys
from tests.drivers.enquiry.vendors import QUICK

__all__ = ["sandbox", "service"]


class TestGuestKeys(GuestKeys):
    @pytest.fixture
    def options(self, tmp_path: Path) -> dict[str, Any]:
        """The licence is read from a file."""
        file = tmp_path / "licence"
        file.write_text("12345678")
        return QUICK | {"licence_file": file}
