"""Encoders that the credential service drives itself (Seam's own way)."""
