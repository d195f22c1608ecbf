from tests.rig.pcscd import _pcscd_session, pcscd

pytest_plugins = ["tests.rig.promises"]

__all__ = ["_pcscd_session", "pcscd"]
