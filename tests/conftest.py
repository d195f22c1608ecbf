from tests.rig.pcscd import _pcscd_session, pcscd
from tests.rig.postgres import _postgres_session, postgres

pytest_plugins = ["tests.rig.covered", "tests.rig.promises"]

__all__ = ["_pcscd_session", "_postgres_session", "pcscd", "postgres"]
