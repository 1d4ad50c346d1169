"""The schema: what the migrations make is what the tables say, and a store of another age is refused."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from amends.kernel.errors import NeedsOperator, TryLater
from amends.ledger import schema, tables
from amends.ledger.book import Book, journal_mode


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server("postgres"))])
def empty_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return request.getfixturevalue("postgres").empty_database()


@pytest.fixture
def book(database_url):
    opened = Book(database_url)
    yield opened
    opened.close()


def test_the_newest_migration_is_the_one_the_program_knows():
    versions = Path(schema.__file__).parent / "migrations" / "versions"
    assert max(path.name.partition("_")[0] for path in versions.glob("[0-9]*.py")) == schema.HEAD


@pytest.mark.filterwarnings("ignore:.*expression-based index")  # of the order of the queue; a test of its own looks
def test_the_migrations_make_exactly_the_tables(book):
    assert tables.Case.__tablename__ in SQLModel.metadata.tables

    def ours(thing, name, kind, reflected, compare_to):
        """The search index is no table of the models: on SQLite it is FTS5 with tables of its own."""
        return not (reflected and (name.startswith("search") or name in ("ix_search_body", "ix_search_case")))

    with book.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": ours})
        assert compare_metadata(context, SQLModel.metadata) == []


@pytest.mark.parametrize(
    ("index", "condition"),
    [
        ("ix_cases_listed", "unread > 0"),
        ("ix_cases_merged", "merged_into IS NOT NULL"),
        ("ix_deadlines_tick", "tick_at IS NOT NULL"),
        ("ix_letters_again", "again IS"),
        ("ix_letters_automatic", "automatic IS"),
    ],
)
def test_an_index_of_what_is_rare_holds_nothing_else(book, index, condition):
    """Alembic compares no conditions, and the tables do not say them."""
    where = "sql FROM sqlite_master WHERE name" if book.sqlite else "indexdef FROM pg_indexes WHERE indexname"
    with book.read() as session:
        made = session.connection().execute(text(f"SELECT {where} = :name"), {"name": index}).scalar()
    assert condition in made.partition("WHERE")[2]


def test_migrating_makes_a_store_once_with_a_key_of_its_own(empty_url):
    book = Book(empty_url)
    assert schema.revision(book) is None
    with pytest.raises(NeedsOperator, match="run: amendsd migrate"):
        schema.require_current(book)
    assert schema.migrate(book)
    assert not schema.migrate(book)
    schema.require_current(book)
    with book.read() as session:
        key = session.connection().execute(text("SELECT value FROM meta WHERE name = 'hmac_key'")).scalar()
    assert len(bytes.fromhex(key)) == 32
    book.close()


def test_the_deadlines_of_an_older_store_are_those_of_the_main_pack(empty_url):
    book = Book(empty_url)
    with book.write() as session:
        config = Config()
        config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "0003")
        session.connection().execute(text(_A_CASE))
        session.connection().execute(text(_A_DEADLINE))
    assert schema.migrate(book)
    with book.read() as session:
        found = session.connection().execute(text("SELECT pack, pack_version, stage, kind FROM deadlines")).all()
    assert [tuple(row) for row in found] == [("iso-10002-default", "2018.1", "", "ack")]
    with pytest.raises(IntegrityError), book.write() as session:
        again = _A_DEADLINE.replace("(id, ", "(pack, id, ").replace("(1, 1, ", "('iso-10002-default', 2, 1, ")
        session.connection().execute(text(again))
    book.close()


_A_CASE = (
    "INSERT INTO cases (id, reference, prefix, year, serial, subject, complainant_name, complainant_address, salt, "
    "language, stage, is_open, complexity, impact, immediate_action, vulnerable, escalated, undelivered, history, "
    "received_at, opened_at, pack, pack_version, messages_in, messages_out, unread, version, chain_length, chain_head) "
    "VALUES (1, 'NW-2026-000001-46', 'NW', 2026, 1, 's', 'n', 'a@b.example', 'x', 'en', 'received', TRUE, '', '', "
    "FALSE, FALSE, FALSE, FALSE, FALSE, '2026-11-23 09:00:00', '2026-11-23 09:00:00', 'iso-10002-default', '2018.1', "
    "1, 0, 0, 1, 0, '')"
)
_A_DEADLINE = (
    "INSERT INTO deadlines (id, case_id, kind, label, occurrence, basis, starts_at, due_at, due_date, derivation, "
    "met_by, state, ticks, tick_no) VALUES (1, 1, 'ack', 'ACK', 1, 'b', '2026-11-23 09:00:00', '2026-11-24 23:59:59', "
    "'2026-11-24', '[]', '[]', 'open', '[]', 0)"
)


def test_four_programs_that_migrate_at_once_make_one_store(empty_url):
    books = [Book(empty_url) for _ in range(4)]
    gate = threading.Barrier(4)
    done, errors = [], []

    def run(book):
        gate.wait()
        for _ in range(10):
            try:
                done.append(schema.migrate(book))
                return
            except TryLater:
                continue
            except Exception as fault:
                errors.append(fault)
                return

    threads = [threading.Thread(target=run, args=(book,)) for book in books]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and sorted(done) == [False, False, False, True]
    for book in books:
        schema.require_current(book)
        book.close()


def test_a_newer_store_is_refused_and_left_alone(book):
    with book.write() as session:
        session.connection().execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for act in (schema.require_current, schema.migrate):
        with pytest.raises(NeedsOperator, match="newer than this program"):
            act(book)
    assert schema.revision(book) == "9999"


def test_a_migration_that_fails_leaves_nothing(empty_url, monkeypatch):
    book = Book(empty_url)
    monkeypatch.setattr("secrets.token_hex", lambda n: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        schema.migrate(book)
    assert schema.revision(book) is None
    book.close()


# The store


def test_commits_are_durable_on_sqlite(sqlite_url):
    book = Book(sqlite_url)
    with book.read() as session:
        ask = session.connection().exec_driver_sql
        assert ask("PRAGMA synchronous").scalar() == 2
        assert ask("PRAGMA journal_mode").scalar() == journal_mode()
        assert ask("PRAGMA foreign_keys").scalar() == 1
    book.close()


@pytest.mark.parametrize(
    ("version", "mode"), [((3, 40, 1), "persist"), ((3, 51, 2), "persist"), ((3, 51, 3), "wal"), ((4, 0, 0), "wal")]
)
def test_write_ahead_logging_is_used_only_where_it_can_be_trusted(version, mode):
    assert journal_mode(version) == mode


def test_a_transaction_leaves_everything_or_nothing(book):
    with pytest.raises(RuntimeError), book.write() as session:
        session.connection().execute(text("INSERT INTO meta (name, value) VALUES ('x', 'y')"))
        raise RuntimeError
    with book.read() as session:
        assert session.connection().execute(text("SELECT count(*) FROM meta WHERE name = 'x'")).scalar() == 0


def test_a_look_is_one_look_whatever_is_committed_meanwhile(book):
    with book.read() as session:
        count = text("SELECT count(*) FROM meta")
        before = session.connection().execute(count).scalar()
        if not (book.sqlite and journal_mode() != "wal"):  # there a reader keeps the writer out instead
            with book.write() as other:
                other.connection().execute(text("INSERT INTO meta (name, value) VALUES ('x', 'y')"))
        assert session.connection().execute(count).scalar() == before


def test_an_empty_store_says_what_to_do(empty_url):
    book = Book(empty_url)
    with pytest.raises(NeedsOperator, match="run: amendsd migrate"), book.read() as session:
        session.connection().execute(text("SELECT * FROM cases"))
    book.close()


def test_a_store_without_its_folder_or_server_says_so(tmp_path):
    with pytest.raises(NeedsOperator, match=r"The folder of the database, .*, does not exist; create it"):
        Book(f"sqlite:///{tmp_path / 'none' / 'amends.db'}")
    pytest.importorskip("psycopg")
    away = Book("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=2")
    with pytest.raises(TryLater, match="The database did not answer"), away.read() as session:
        session.connection()


def test_a_busy_store_is_tried_again_later(sqlite_url, monkeypatch):
    monkeypatch.setattr("amends.ledger.book.BUSY_SECONDS", 0)
    one, two = Book(sqlite_url), Book(sqlite_url)
    with one.write(), pytest.raises(TryLater, match="Another program is using the database"), two.write():
        pass
    one.close()
    two.close()
