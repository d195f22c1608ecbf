"""Local truth: jobs, attempts, cards, outbox and audit trail, in one SQLite file.

Whatever the agent knows that must outlive a power cut is here and nowhere else. Every durable step is one method of
`Journal`, and one transaction.
"""

from agent.journal.inspection import Inspection
from agent.journal.journal import Journal
from agent.journal.model import (
    OPEN_STATES,
    Card,
    CardStanding,
    IllegalStep,
    Intake,
    Job,
    JobState,
    JournalError,
    OutboxEntry,
    OutboxState,
)

__all__ = [
    "OPEN_STATES",
    "Card",
    "CardStanding",
    "IllegalStep",
    "Inspection",
    "Intake",
    "Job",
    "JobState",
    "Journal",
    "JournalError",
    "OutboxEntry",
    "OutboxState",
]
