from pathlib import Path

import pytest

from tests.rig.pcscd import _pcscd_session, pcscd
from tests.rig.postgres import _postgres_session, postgres

pytest_plugins = ["tests.rig.covered", "tests.rig.promises"]

__all__ = ["_pcscd_session", "_postgres_session", "pcscd", "postgres"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes begins first: one process would finish it alone, with the others idle."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.parent != here)
