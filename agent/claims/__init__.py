"""Who encodes what.

A single desk needs no agreement: what it sees is its own, with or without a network. Desks that share a system agree
through a PostgreSQL database, in which each credential belongs to one desk at most, from taken up to issued.
"""

from agent.claims.claims import Claims, LocalClaims

__all__ = ["Claims", "LocalClaims"]
