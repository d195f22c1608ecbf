"""A damaged journal is found out, set aside, and saved from; one that is gone is never begun anew in silence.

Whatever happens to the file: either nothing that matters was changed, or it is set aside, and then every report that
the service doesn't have yet is there, or its card is asked for; every card that was begun is known, or its credential
waits for a person.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent import clock
from agent.journal import Inspection, JobState, Journal, JournalError, make_sound, notes
from agent.journal.schema import MIGRATIONS
from agent.journal.soundness import first_damage
from tests.agent.journal.desk_life import (
    CANCELLED,
    ORDERS,
    Truth,
    copy_of,
    live,
    sample,
    take_in,
    verified,
    what_matters,
)
from tests.rig.disk import in_memory

__all__ = ["in_memory"]

pytestmark = pytest.mark.promise(2, 4)

PAGE = 4096
RecordProperty = Callable[[str, object], None]


@pytest.fixture(scope="module")
def lived() -> Iterator[Path]:
    """A journal after some days, closed."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite3"
        journal = Journal(path)
        live(journal)
        journal.close()
        yield path


@pytest.fixture(scope="module")
def truth(lived: Path) -> Truth:
    return what_matters(lived)


@pytest.fixture
def path(lived: Path, in_memory: Path) -> Path:
    """A copy of it, to be damaged."""
    return copy_of(lived, in_memory / "desk")


def again(lived: Path, path: Path) -> bytearray:
    """Take the copy anew. Returns its content."""
    for file in path.parent.iterdir():
        file.unlink()
    for file in lived.parent.glob(f"{lived.name}*"):
        (path.parent / file.name).write_bytes(file.read_bytes())
    return bytearray(path.read_bytes())


def judge(path: Path, truth: Truth) -> bool:
    """Open it as a start does; nothing may be lost without anybody knowing. Returns whether it was set aside."""
    make_sound(path)
    now = what_matters(path)
    if not notes(path):
        for part in ("reports", "cards", "orders"):
            assert now[part] == truth[part]
        assert is_open(now) == is_open(truth)
        return False
    assert first_damage(path, whole_trail=True) is None
    every = bool(rows(path, "SELECT 1 FROM doubts WHERE acs_credential_id = '*'"))
    doubts = {row["acs_credential_id"] for row in rows(path, "SELECT * FROM doubts")}
    for name, (key, body, _) in truth["reports"].items():
        there, job = now["reports"].get(name), now["jobs"].get(name)
        if there is not None:
            assert there[1] == body
            assert there[0] == key or len(there[0]) == len(key)  # where index and trail don't tell which is right
        else:
            assert every or name in doubts or (job is not None and job[1] == "held"), f"{name}: {job}"
    for card, (name, standing, _) in truth["cards"].items():
        known, job = now["cards"].get(card), now["jobs"].get(name)
        on_its_way = name in truth["reports"] or standing == "unknown"
        assert known is not None or every or name in doubts or not on_its_way, f"{name}: {job}"
    for name in ORDERS:
        if not every and name not in doubts:
            assert_known(now, truth, name)
    for name, (_, state, _, _) in truth["jobs"].items():
        if state == "writing" and not every and name not in doubts:
            assert now["jobs"][name][1] == "writing" or (name in ORDERS and now["jobs"][name][1] == "held")
    return True


def assert_known(now: Truth, truth: Truth, name: str) -> None:
    """The order is known that this credential's job gave, or a person is asked before another one is given."""
    (stage, facts, image), job = truth["orders"][name], now["jobs"].get(name)
    if (found := now["orders"].get(name)) is not None:
        assert (found[0], json.loads(found[1])) == (stage, json.loads(facts))
        assert found[2] in ("", image)
    else:
        assert job is not None, name
        assert job[1] == "held", f"{name}: {job}"


def is_open(truth: Truth) -> dict[str, object]:
    ended = ("reported", "orphaned", "cancelled", "failed")
    return {name: job for name, job in truth["jobs"].items() if job[1] not in ended}


def rows(path: Path, sql: str) -> list[sqlite3.Row]:
    journal = Inspection(path)
    try:
        return journal._database.rows(sql)
    finally:
        journal.close()


def test_a_sound_one_is_left_alone(path: Path, truth: Truth) -> None:
    before = path.read_bytes()
    assert not judge(path, truth)
    assert path.read_bytes() == before
    assert rows(path, "SELECT * FROM audit WHERE event = 'journal_set_aside'") == []


def test_a_flipped_byte_anywhere(lived: Path, path: Path, truth: Truth, record_property: RecordProperty) -> None:
    """In each page: its header, its pointers, its end, and some places by chance."""
    chosen = random.Random(5)
    pages = len(path.read_bytes()) // PAGE
    found = cases = 0
    for page in range(pages):
        for at in (0, 3, 8, PAGE - 1, *(chosen.randrange(PAGE) for _ in range(6))):
            content = again(lived, path)
            content[page * PAGE + at] ^= chosen.choice((0xFF, 0x01, 0x20))
            path.write_bytes(content)
            found += judge(path, truth)
            cases += 1
    assert found > cases / 5
    record_property("cases", cases)


@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"random"])
def test_a_page_overwritten(
    filling: bytes, lived: Path, path: Path, truth: Truth, record_property: RecordProperty
) -> None:
    chosen = random.Random(6)
    content = again(lived, path)
    for page in range(len(content) // PAGE):
        content = again(lived, path)
        content[page * PAGE : page * PAGE + PAGE] = chosen.randbytes(PAGE) if filling == b"random" else filling * PAGE
        path.write_bytes(content)
        assert judge(path, truth)
    record_property("cases", len(content) // PAGE)


def test_cut_off_anywhere(lived: Path, path: Path, truth: Truth, record_property: RecordProperty) -> None:
    content = again(lived, path)
    lengths = [page * PAGE + extra for page in range(len(content) // PAGE) for extra in (0, 1, PAGE // 2)]
    for length in lengths:
        again(lived, path)
        os.truncate(path, length)
        assert judge(path, truth)
    record_property("cases", len(lengths))


@pytest.fixture
def killed(in_memory: Path) -> Path:
    """A journal whose agent was killed: what it did last is in its WAL."""
    path = in_memory / "running" / "journal.sqlite3"
    path.parent.mkdir()
    journal = Journal(path)
    verified(journal, "early")
    verified(journal, "late")
    assert path.with_name("journal.sqlite3-wal").stat().st_size > 0
    copy = copy_of(path, in_memory / "killed")
    journal.close()
    return copy


def test_a_wal_is_taken_over(killed: Path) -> None:
    make_sound(killed)
    assert notes(killed) == []
    assert set(what_matters(killed)["reports"]) == {"early", "late"}


@pytest.mark.parametrize("what", ["deleted", "cut", "garbage", "zeros", "of another journal"])
def test_a_wal_that_is_not_as_it_was(what: str, killed: Path, in_memory: Path) -> None:
    """SQLite takes what remains for the whole: only the mark tells."""
    wal = killed.with_name("journal.sqlite3-wal")
    match what:
        case "deleted":
            wal.unlink()
        case "cut":
            os.truncate(wal, wal.stat().st_size // 2)
        case "garbage":
            wal.write_bytes(random.Random(1).randbytes(wal.stat().st_size))
        case "zeros":
            wal.write_bytes(bytes(wal.stat().st_size))
        case _:
            other = in_memory / "other" / "journal.sqlite3"
            other.parent.mkdir()
            journal = Journal(other)
            for n in range(4):
                verified(journal, f"other-{n}")
            wal.write_bytes(other.with_name("journal.sqlite3-wal").read_bytes())
            journal.close()
    make_sound(killed)
    (note,) = notes(killed)
    assert "missing" in note.read_text() or "another" in note.read_text()
    journal = Journal(killed)
    try:
        assert "other-0" not in str(journal._database.rows("SELECT acs_credential_id FROM jobs"))
        # It isn't known which cards were made: whatever waits is held.
        take_in(journal, "late")
        job = journal.open_job("late")
        assert job is not None
        assert job.state is JobState.HELD or journal.report_of(job.job_id) is not None
    finally:
        journal.close()


@pytest.mark.parametrize("how", ["deleted", "emptied", "all deleted but the desk token"])
def test_one_that_is_gone(how: str, path: Path) -> None:
    path.with_name("desk-token").write_text("seam_token")
    if how == "emptied":
        os.truncate(path, 0)
    else:
        path.unlink()
    if how.startswith("all"):
        path.with_name("journal.sqlite3.mark").unlink()
    make_sound(path)
    (note,) = notes(path)
    assert "it is gone" in note.read_text() or "it is empty" in note.read_text()
    journal = Journal(path)
    try:
        (entry,) = journal.audit()
        assert entry["event"] == "journal_set_aside"
        take_in(journal, "pending-0", "new-to-us")
        journal.take_in([sample("issued", issued=True)], seen_at=clock.now_text())
        journal.settle_doubts()
        take_in(journal, "later")
        states = {job.acs_credential_id: (str(job.state), job.code) for job in journal.queue()}
        assert states["pending-0"] == states["new-to-us"] == ("held", "journal_lost")
        assert states["issued"][0] == states["later"][0] == "waiting"
        assert journal.may_have_a_card("new-to-us")
        # What a person lets go is encoded, and stays known as doubtful until then.
        job = journal.open_job("new-to-us")
        assert job is not None
        assert "card-encoder resume" in job.reason
        journal.take_in([sample("new-to-us")], seen_at=clock.now_text())
        assert journal.job(job.job_id).state is JobState.HELD
        journal.resume(job.job_id, actor="me")
        journal.take_in([sample("new-to-us")], seen_at=clock.now_text())
        assert journal.claim(joiners=True) == 3
        assert journal.may_have_a_card("new-to-us")
    finally:
        journal.close()


def test_where_there_never_was_one_nothing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    make_sound(path)
    Journal(path).close()
    make_sound(path)
    assert notes(path) == []
    assert list(tmp_path.glob("*damaged*")) == []


def test_an_older_copy_put_back(lived: Path, path: Path, in_memory: Path) -> None:
    old = path.read_bytes()
    journal = Journal(path)
    verified(journal, "since")
    journal.close()
    path.write_bytes(old)
    make_sound(path)
    assert "older than what was here" in notes(path)[0].read_text()
    assert set(what_matters(path)["reports"]) >= {"pending-0", "pending-1", "pending-2", "refused", "conflict"}


def test_orders_are_known_by_the_trail_alone(path: Path, truth: Truth) -> None:
    """What it doesn't have is the image: the vendor's server is asked for that."""
    overwrite_root(path, "orders")
    assert judge(path, truth)
    now = what_matters(path)
    for name in ORDERS:
        assert_known(now, truth, name)
    assert {name: now["jobs"][name][1] for name in ORDERS} == {
        "vendor-asked": "writing",
        "vendor-answered": "writing",
        "vendor-begun-anew": "waiting",
        "vendor-cancelled": "cancelled",
    }
    assert now["orders"].keys() >= ORDERS.keys()
    take_in(journal := Journal(path), CANCELLED[0])
    try:
        job = journal.open_job(CANCELLED[0])
        assert job is not None
        note = journal.order_of(job.job_id)
        assert note is not None
        assert (note.stage, note.facts["order"]) == ("asked", f"of {CANCELLED[0]}")
    finally:
        journal.close()


def test_where_nothing_is_known_of_an_order_a_person_is_asked(path: Path, truth: Truth) -> None:
    for name in ("orders", "audit"):
        overwrite_root(path, name)
    assert judge(path, truth)
    for job in (now := what_matters(path))["jobs"].items():
        if job[0].startswith("vendor") and job[1][1] == "writing":
            raise AssertionError(job)
    assert now["jobs"]["interrupted-0"][1] == "writing", "what is no vendor's can be read again"
    assert rows(path, "SELECT 1 FROM jobs WHERE code = 'order_lost'")


@pytest.mark.parametrize(
    "change",
    [
        "stage = 'answered' WHERE stage = 'asked'",
        "facts = replace(facts, 'before', 'behind')",
        "image = '00' || image WHERE image <> ''",
        "image_digest = 'another'",
        "acs_credential_id = 'another'",
    ],
)
def test_an_order_that_was_changed_is_found_out(change: str, path: Path, truth: Truth) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE orders SET {change}")
        connection.commit()
    assert first_damage(path) == "an order was changed"
    assert judge(path, truth)
    now = what_matters(path)
    for name in ORDERS:
        assert_known(now, truth, name)
        assert now["orders"][name][2] == "" or not change.startswith("image =")


def test_an_order_in_a_journal_of_the_version_before_there_were_any(in_memory: Path) -> None:
    """Saved from as well, and as fast, though there is no such table."""
    path = in_memory / "old" / "journal.sqlite3"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        for number, script in enumerate(MIGRATIONS[:6], start=1):
            connection.executescript(script)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("UPDATE sqlite_sequence SET seq = 1000000")
        connection.execute("INSERT INTO sqlite_sequence VALUES ('jobs', 1000000)")
        connection.execute("INSERT INTO steps VALUES ('waiting', 'reported')")
        connection.commit()
    make_sound(path)
    assert notes(path)
    assert first_damage(path) is None


def test_what_the_trail_proves_is_not_in_doubt(path: Path, truth: Truth) -> None:
    """Damage in an index: all can be read, and so nobody has to be asked."""
    overwrite_root(path, "jobs_by_credential")
    assert judge(path, truth)
    assert rows(path, "SELECT * FROM doubts") == []
    assert what_matters(path)["reports"] == truth["reports"]
    (entry,) = rows(path, "SELECT * FROM audit")
    assert '"in_doubt": 0' in entry["detail"]
    assert rows(path, "SELECT * FROM identity") != []


def test_nothing_is_deleted_and_the_note_says_where_it_is(path: Path) -> None:
    content = b"not a database any more" * 400
    path.write_bytes(content)
    make_sound(path)
    (note,) = notes(path)
    aside = note.with_suffix("")
    assert aside.read_bytes() == content
    assert aside.with_name(f"{aside.name}.mark").exists()
    assert aside.name in note.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    # And once more: nothing of the first is overwritten.
    path.write_bytes(content)
    make_sound(path)
    assert len(notes(path)) == 2


@pytest.mark.parametrize("what", ["a folder", "text", "another program's database"])
def test_what_is_no_journal_is_not_touched(what: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    if what == "a folder":
        path.mkdir()
    elif what == "text":
        path.write_text("somebody's letters" * 100)
    else:
        sqlite3.connect(path).execute("CREATE TABLE theirs (x)").connection.close()
    with pytest.raises(JournalError, match=r"Move it away"):
        make_sound(path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


_AS_NOBODY = """
import os, sys
from pathlib import Path
from agent.journal import JournalError, make_sound
os.setgid(65534); os.setuid(65534)
try:
    make_sound(Path(sys.argv[1]))
except JournalError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("suffix", ["", "-wal", ".mark"])
def test_files_that_are_somebody_elses(suffix: str, killed: Path) -> None:
    folder = Path("/dev/shm") / killed.parent.parent.name if Path("/dev/shm").exists() else killed.parent.parent
    for place in (folder, killed.parent):
        place.chmod(0o777)
    for file in killed.parent.iterdir():
        os.chown(file, 65534, 65534)
    other = killed.with_name(killed.name + suffix)
    os.chown(other, 0, 0)
    other.chmod(0o600)
    before = {file.name: file.read_bytes() for file in killed.parent.iterdir()}
    command = [sys.executable, "-c", _AS_NOBODY, str(killed)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert "sudo chown card-encoder:" in said
    assert {file.name: file.read_bytes() for file in killed.parent.iterdir()} == before


def overwrite_root(path: Path, name: str) -> None:
    """Overwrite the page in which this table or index begins."""
    ((page,),) = rows(path, f"SELECT rootpage FROM sqlite_schema WHERE name = '{name}'")
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xff" * PAGE)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("after", range(8))
def test_killed_while_it_is_set_aside(after: int, killed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after each change of a name, in turn: the next start finishes it, and nothing is lost."""
    overwrite_root(killed, "identity")
    changes = 0

    def counted(change: Callable[..., None]) -> Callable[..., None]:
        def call(*names: Path) -> None:
            nonlocal changes
            if changes == after:
                raise Killed
            changes += 1
            change(*names)

        return call

    monkeypatch.setattr(os, "rename", counted(os.rename))
    monkeypatch.setattr(os, "replace", counted(os.replace))
    try:
        make_sound(killed)
    except Killed:
        pass
    else:
        assert changes <= after
    monkeypatch.undo()
    make_sound(killed)
    assert notes(killed)
    assert first_damage(killed) is None
    assert set(what_matters(killed)["reports"]) == {"early", "late"}
    assert len(list(killed.parent.glob("*.damaged-*-wal"))) == 1, "the old WAL would be taken for the new journal's"


def test_damage_that_appears_while_the_agent_runs(in_memory: Path) -> None:
    path = in_memory / "journal.sqlite3"
    journal = Journal(path)
    live(journal, finished=40)
    journal._database._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    journal._database._connection.execute("PRAGMA cache_size = 1")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4 * PAGE)
        file.write(b"\xff" * (size - 4 * PAGE))
    told = []
    journal.on_trouble(lambda: told.append(journal.trouble))
    with pytest.raises(JournalError):
        live(journal)
    assert journal.damaged
    assert journal.trouble is not None
    assert "restart card-encoder" in journal.trouble
    assert told
    with pytest.raises(JournalError, match="damaged"):
        journal.try_again()
    journal.close()
    make_sound(path)
    assert "came upon damage" in notes(path)[0].read_text()
    Journal(path).close()
