"""Local truth: jobs, attempts, cards, outbox and audit trail, in one SQLite file.

Whatever the agent knows that must outlive a power cut is here and nowhere else. Every durable step is one method of
`Journal`, and one transaction.
"""

from agent.journal.inspection import Inspection
from agent.journal.intake import CANCELLED_BY_PERSON, JOURNAL_LOST, ORDER_STANDS, ORDER_UNKNOWN, PUT_IT_BACK
from agent.journal.journal import Journal
from agent.journal.lock import JournalLock
from agent.journal.model import (
    OPEN_STATES,
    Card,
    CardStanding,
    IllegalStep,
    Intake,
    Job,
    JobState,
    JournalDamaged,
    JournalError,
    OutboxEntry,
    OutboxState,
    Scope,
)
from agent.journal.setting_aside import damage, make_sound, notes
from agent.journal.soundness import is_empty

__all__ = [
    "CANCELLED_BY_PERSON",
    "JOURNAL_LOST",
    "OPEN_STATES",
    "ORDER_STANDS",
    "ORDER_UNKNOWN",
    "PUT_IT_BACK",
    "Card",
    "CardStanding",
    "IllegalStep",
    "Inspection",
    "Intake",
    "Job",
    "JobState",
    "Journal",
    "JournalDamaged",
    "JournalError",
    "JournalLock",
    "OutboxEntry",
    "OutboxState",
    "Scope",
    "damage",
    "is_empty",
    "make_sound",
    "notes",
]
