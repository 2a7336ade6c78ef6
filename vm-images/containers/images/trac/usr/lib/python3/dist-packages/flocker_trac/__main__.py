"""The first process of the container."""

import os
import signal
import sys

from . import settings


def main() -> None:
    """Waits for the database, completes the environment, serves."""
    # The kernel ignores SIGTERM for process 1 unless there is a handler.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    chosen = settings.read()
    # Connection parameters that Trac cannot express.
    os.environ["PGSERVICEFILE"] = "/etc/trac/pg_service.conf"
    os.environ["PGSERVICE"] = "trac"

    # Imported late: it takes seconds under emulation, and the checks above do not.
    from . import environment, server

    environment.wait_for_database(chosen)
    path = environment.ensure(chosen)
    server.serve(chosen.port, path, chosen.search_port)
    sys.exit(0)


main()
