"""A database connection that outlives moves of the database.

A move ends every connection, and for some seconds new ones are refused or wait.
Trac's pool already tries a pooled connection before using it; what it does not
do is wait for a server that comes back, so this connector does.
"""

import time

import psycopg2
import psycopg2.extensions
from trac.db.postgres_backend import PostgreSQLConnector

# Longer than any planned move pauses a database, shorter than browsers wait.
PATIENCE_SECONDS = 60
RETRY_SECONDS = 0.5


class PatientPostgreSQLConnector(PostgreSQLConnector):
    """Trac's own connector, but it waits for a server that is away."""

    # Trac 1.6 looks for it in a way that Python 3.13 does not take any more.
    _client_version = divmod(psycopg2.extensions.libpq_version(), 10000)

    def get_supported_schemes(self):
        """Is preferred to the built-in connector, whose priority is 1."""
        yield "postgres", 5

    def get_connection(self, path, log=None, **options):
        """Connects, trying again while the server cannot be reached.

        # Errors
        The last `psycopg2.OperationalError` once the patience is at its end.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return super().get_connection(path, log, **options)
            except psycopg2.OperationalError as error:
                if is_final(error) or time.monotonic() > deadline:
                    raise
                (log or self.log).warning("waiting for the database: %s", first_line(error))
            time.sleep(RETRY_SECONDS)


def is_final(error: psycopg2.OperationalError) -> bool:
    """Whether trying again is pointless: the server is there and says no."""
    text = str(error)
    return "authentication failed" in text or "does not exist" in text


def first_line(error: Exception) -> str:
    """The part of libpq's messages that says what is wrong."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
