from tests.rig.pcscd import _pcscd_session, pcscd

__all__ = ["_pcscd_session", "pcscd"]
