"""Which job an encoder is to write next."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from agent.journal.model import Job
from agent.journal.reading import JOINS_ARE_DONE, Reading
from drivers.encoder import FoundCard

_IN_ORDER = "ORDER BY priority DESC, sort_key, job_id LIMIT 1"
# The credential is on a card already: one that this desk wrote, or, where it was issued elsewhere, one that the
# service knows by its number or UID. Unless a person said that another card replaces it, it goes on that card alone.
WRITTEN_HERE = (
    "EXISTS (SELECT 1 FROM cards WHERE cards.acs_credential_id = jobs.acs_credential_id AND standing <> 'void')"
)
_HAS_A_CARD = f"(replace_card = 0 AND (issued = 1 OR {WRITTEN_HERE}))"
_IS_THIS_CARDS = """acs_credential_id = (SELECT acs_credential_id FROM cards WHERE uid = ? AND standing <> 'void')"""
_HAS_THIS_CARDS_NUMBER = f"issued = 1 AND card_number COLLATE NOCASE IN (?, ?) AND NOT {WRITTEN_HERE}"


class Choosing(Reading):
    """Chooses among the jobs that this desk has claimed."""

    def next_job(
        self,
        encoder: str,
        vendors: Sequence[str | None],
        *,
        picked_only: bool,
        others: Collection[str] = (),
        in_hand: Collection[int] = (),
        card: FoundCard | None = None,
    ) -> Job | None:
        """What this encoder is to write next; on this very card, where it was looked at already.

        First whatever it began and could not verify: that card has to come back before any other is written. `others`
        are the desk's other encoders: what none of the present ones began is this one's too. Then by priority and age.
        `vendors` are those whose content the encoder can write, None standing for card numbers; `picked_only` leaves
        out what nobody asked for by hand, and `in_hand` are jobs that other encoders are at. With `card`, what has to
        go on that card comes first, and what has to go on another one is left out, unless a person asked for it.
        """
        free = f"job_id NOT IN ({_marks(in_hand)})"
        row = self._database.row(
            f"SELECT * FROM jobs WHERE state = 'writing' AND {free} "
            f"AND (encoder NOT IN ({_marks(others)}) OR card_uid = ?) ORDER BY card_uid = ? DESC, job_id LIMIT 1",
            *(*in_hand, *others, card and card.uid, card and card.uid),
        )
        if row is not None:
            return Job.of(row)
        named = [vendor for vendor in vendors if vendor is not None]
        plain = "vendor IS NULL" if None in vendors else "0"
        fitting = (
            f"state = 'claimed' AND {free} AND (wanted_encoder IS NULL OR wanted_encoder = ?) "
            f"AND ({plain} OR vendor IN ({_marks(named)})) AND {JOINS_ARE_DONE}"
        )
        for source, condition, values in _choices(card, picked_only=picked_only):
            row = self._database.row(
                f"SELECT * FROM {source} WHERE {fitting} AND {condition} {_IN_ORDER}",
                *in_hand,
                encoder,
                *named,
                *values,
            )
            if row is not None:
                return Job.of(row)
        return None


def _choices(card: FoundCard | None, *, picked_only: bool) -> Iterator[tuple[str, str, tuple[object, ...]]]:
    """Where to look, for what, with which values; in this order."""
    yield "jobs INDEXED BY jobs_picked", "picked = 1", ()
    if picked_only:
        return
    if card is None:
        yield "jobs INDEXED BY jobs_in_order", "1", ()
        return
    yield "jobs", _IS_THIS_CARDS, (card.uid,)
    yield "jobs INDEXED BY jobs_by_number", _HAS_THIS_CARDS_NUMBER, (card.uid, card.card_number)
    yield "jobs INDEXED BY jobs_in_order", f"NOT {_HAS_A_CARD}", ()


def _marks(values: Collection[object]) -> str:
    return ",".join("?" * len(values))
