"""Vendors' encoders that speak the Industry Standard PMS protocol (Salto, Onity, TESA)."""
