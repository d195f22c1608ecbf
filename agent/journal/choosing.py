"""Which job an encoder is to write next."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from agent.journal.model import Job, Scope
from agent.journal.reading import JOINS_ARE_DONE, Reading
from drivers.encoder import FoundCard

_IN_ORDER = "ORDER BY priority DESC, sort_key, job_id LIMIT 1"
# The credential is on a card already: one that this desk wrote, or, where it was issued elsewhere, one that the
# service knows by its number or UID. Unless a person said that another card replaces it, it goes on that card alone;
# not so a key that is made by order, which voids the one before. A card without a UID is only known by its number.
WRITTEN_HERE = (
    "EXISTS (SELECT 1 FROM cards WHERE cards.acs_credential_id = jobs.acs_credential_id AND standing <> 'void')"
)
_HAS_A_CARD = f"(replace_card = 0 AND by_order = 0 AND (issued = 1 OR {WRITTEN_HERE}))"
# What an earlier job ordered for the credential may have come to a card: somebody has to say that this is it.
_NOTHING_ORDERED = "NOT EXISTS (SELECT 1 FROM orders WHERE orders.job_id = jobs.job_id)"
_IS_THIS_CARDS = """acs_credential_id = (SELECT acs_credential_id FROM cards WHERE uid = ? AND standing <> 'void')"""
_HAS_THIS_CARDS_NUMBER = f"issued = 1 AND card_number COLLATE NOCASE IN (?, ?) AND NOT {WRITTEN_HERE}"


class Choosing(Reading):
    """Chooses among the jobs that this desk has claimed."""

    def next_job(
        self,
        encoder: str,
        scope: Scope,
        *,
        picked_only: bool,
        others: Collection[str] = (),
        in_hand: Collection[int] = (),
        card: FoundCard | None = None,
    ) -> Job | None:
        """What this encoder is to write next; on this very card, where it was looked at already.

        First whatever it began and could not verify: that card has to come back before any other is written. Not so
        where keys are made by order, and somebody asks for another one: there is no card that could come back. `others`
        are the desk's other encoders: what none of the present ones began is this one's too. Then by priority and age.
        `scope` is what the encoder can write; `picked_only` leaves out what nobody asked for by hand, and `in_hand` are
        jobs that other encoders are at. With `card`, what has to go on that card comes first, and what has to go on
        another one is left out, unless a person asked for it.
        """
        free = f"job_id NOT IN ({_marks(in_hand)})"
        fits, wanted = within(scope)
        uid = (card and card.uid) or None  # cards without a UID are not told apart by it
        row = self._database.row(
            f"SELECT * FROM jobs WHERE state = 'writing' AND {free} AND (encoder = ? OR ({fits} "
            f"AND (encoder NOT IN ({_marks(others)}) OR card_uid = ?))) ORDER BY card_uid = ? DESC, job_id LIMIT 1",
            *(*in_hand, encoder, *wanted, *others, uid, uid),
        )
        begun = None if row is None else Job.of(row)
        if begun is not None and (begun.picked or not scope.by_order):
            return begun
        fitting = (
            f"state = 'claimed' AND {free} AND (wanted_encoder IS NULL OR wanted_encoder = ?) AND {fits} "
            f"AND {JOINS_ARE_DONE}"
        )
        for source, condition, values in _choices(card, picked_only=picked_only):
            row = self._database.row(
                f"SELECT * FROM {source} WHERE {fitting} AND {condition} {_IN_ORDER}",
                *in_hand,
                encoder,
                *wanted,
                *values,
            )
            if row is not None and (begun is None or row["picked"]):
                return Job.of(row)
        return begun


def within(scope: Scope) -> tuple[str, list[object]]:
    """`Scope.takes` as SQL on a job, and its values."""
    named = [vendor for vendor in scope.vendors if vendor is not None]
    plain = "vendor IS NULL" if None in scope.vendors else "0"
    if not scope.numberless:
        plain += " AND card_number IS NOT NULL"
    systems = f"acs_system_id IN ({_marks(scope.acs_system_ids)})" if scope.acs_system_ids else "1"
    return f"(({plain} OR vendor IN ({_marks(named)})) AND {systems})", [*named, *scope.acs_system_ids]


def _choices(card: FoundCard | None, *, picked_only: bool) -> Iterator[tuple[str, str, tuple[object, ...]]]:
    """Where to look, for what, with which values; in this order."""
    yield "jobs INDEXED BY jobs_picked", "picked = 1", ()
    if picked_only:
        return
    if card is None:
        yield "jobs INDEXED BY jobs_in_order", _NOTHING_ORDERED, ()
        return
    yield "jobs", _IS_THIS_CARDS, (card.uid,)  # which no card without a UID is
    yield "jobs INDEXED BY jobs_by_number", _HAS_THIS_CARDS_NUMBER, (card.uid, card.card_number)
    yield "jobs INDEXED BY jobs_in_order", f"NOT {_HAS_A_CARD} AND {_NOTHING_ORDERED}", ()


def _marks(values: Collection[object]) -> str:
    return ",".join("?" * len(values))
