"""Creates Trac's environment, or continues where an earlier attempt was cut off.

It has two parts in two volumes: files, and tables in the database. Each step
below is atomic and looks at what is there first, so that the whole can be cut
off anywhere and repeated; and no step ever removes a table.
"""

import os
import shutil
import time
from pathlib import Path

import psycopg2
from trac import db_default
from trac.config import Configuration
from trac.db.api import DatabaseManager, parse_connection_uri
from trac.db.postgres_backend import assemble_pg_dsn
from trac.env import Environment
from trac.wiki.admin import WikiAdmin

from .database import first_line
from .settings import VOLUME, Settings, say

SHARED_CONFIGURATION = "/etc/trac/trac.ini"
PATH = VOLUME / "trac"

# There are no accounts, so that the example needs no second password.
ANONYMOUS_MAY = {"TICKET_APPEND", "TICKET_CREATE", "WIKI_CREATE", "WIKI_MODIFY"}


def wait_for_database(settings: Settings) -> None:
    """Returns once PostgreSQL answers on the link; says why it is still waiting."""
    _, properties = parse_connection_uri(settings.database)
    dsn = assemble_pg_dsn(
        properties["path"].lstrip("/"),
        *(properties.get(key) for key in ("user", "password", "host", "port")),
    )
    said, delay = None, 0.2
    while True:
        try:
            psycopg2.connect(dsn).close()
            return
        except psycopg2.OperationalError as error:
            if first_line(error) != said:
                said = first_line(error)
                say(f"waiting for the database: {said}")
        time.sleep(delay)
        delay = min(delay * 1.5, 2.0)


def ensure(settings: Settings) -> Path:
    """Makes files and tables complete; returns the environment's path."""
    _check_volume()
    if not PATH.exists():
        _create_files(settings)
    _ensure_database_setting(settings)
    environment = Environment(str(PATH))
    _ensure_tables(environment)
    if environment.needs_upgrade():
        say("upgrading the environment")
        environment.upgrade(backup=False)
    environment.shutdown()
    return PATH


def _check_volume() -> None:
    if not os.access(VOLUME, os.W_OK | os.X_OK):
        raise SystemExit(
            f"flocker: error: cannot write to {VOLUME} as user {os.getuid()}: "
            "mount a volume there that this user may write to"
        )


def _create_files(settings: Settings) -> None:
    """Creates the directory under another name and renames it when it is complete."""
    say("creating the environment")
    unfinished = VOLUME / "trac.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    for directory in ("conf", "htdocs", "log", "plugins", "templates"):
        (unfinished / directory).mkdir(parents=True)
    # The first line is how Trac knows its environments.
    (unfinished / "VERSION").write_text("Trac Environment Version 1\n")
    configuration = Configuration(str(unfinished / "conf" / "trac.ini"))
    configuration.set("inherit", "file", SHARED_CONFIGURATION)
    configuration.set("project", "name", settings.project)
    configuration.set("trac", "database", settings.database)
    configuration.save()
    os.sync()
    unfinished.rename(PATH)
    os.sync()


def _ensure_database_setting(settings: Settings) -> None:
    configuration = Configuration(str(PATH / "conf" / "trac.ini"))
    if configuration.get("trac", "database") != settings.database:
        configuration.set("trac", "database", settings.database)
        configuration.save()


def _ensure_tables(environment: Environment) -> None:
    """Fills an empty database, in one transaction per step."""
    manager = DatabaseManager(environment)
    with environment.db_query as db:
        tables = set(db.get_table_names())
    if "system" not in tables:
        say("creating the tables")
        with environment.db_transaction as db:
            for table in db_default.schema:
                for statement in manager.get_connector()[0].to_sql(table):
                    db(statement)
            version = db_default.db_version
            for name in ("initial_database_version", "database_version"):
                db("INSERT INTO system (name, value) VALUES (%s, %s)", (name, str(version)))
    with environment.db_query as db:
        filled = bool(db("SELECT 1 FROM system WHERE name = 'flocker_filled'"))
    if not filled:
        say("filling the tables")
        with environment.db_transaction as db:
            manager.insert_default_data()
            WikiAdmin(environment).environment_created()
            granted = {
                action
                for (action,) in db("SELECT action FROM permission WHERE username = 'anonymous'")
            }
            for action in sorted(ANONYMOUS_MAY - granted):
                db("INSERT INTO permission (username, action) VALUES ('anonymous', %s)", (action,))
            db("INSERT INTO system (name, value) VALUES ('flocker_filled', '1')")

