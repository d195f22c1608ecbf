from pathlib import Path

import pytest

from agent.journal import JournalError, JournalLock


def test_one_agent_to_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    lock = JournalLock(path)
    with pytest.raises(JournalError, match="Another agent"):
        JournalLock(path)
    lock.release()
    JournalLock(path).release()


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="folder exists"):
        JournalLock(tmp_path / "nowhere" / "journal.sqlite3")
