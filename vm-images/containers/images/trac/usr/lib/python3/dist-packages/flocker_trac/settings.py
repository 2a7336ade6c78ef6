"""What the environment of the container says."""

import os
import re
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

VOLUME = Path("/opt/trac/env")


class Settings(NamedTuple):
    """POSTGRES_PASSWORD is needed; everything else has a default."""

    database: str
    project: str
    port: int
    search_port: int | None


def say(text: str) -> None:
    """Tells the container's log."""
    print(f"flocker: {text}", file=sys.stderr, flush=True)


def _port(name: str, default: str) -> int | None:
    text = os.environ.get(name, default)
    if text and not re.fullmatch(r"[1-9][0-9]{0,4}", text):
        sys.exit(f"flocker: error: {name} is `{text}`, which is not a port number")
    return int(text) if text else None


def read() -> Settings:
    """Reads the environment; ends the program with an explanation if it is wrong."""
    password = os.environ.pop("POSTGRES_PASSWORD", None)
    if not password:
        sys.exit(
            "flocker: error: POSTGRES_PASSWORD is not set: give it in the application's "
            "environment, equal to the one of the database"
        )
    user = os.environ.get("POSTGRES_USER", "trac")
    name = os.environ.get("POSTGRES_DB", user)
    port = _port("POSTGRES_PORT", "5432")
    credentials = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return Settings(
        database=f"postgres://{credentials}@localhost:{port}/{quote(name, safe='')}",
        project=os.environ.get("TRAC_PROJECT", "Trac on Flocker"),
        port=_port("TRAC_PORT", "8080"),
        search_port=_port("ELASTICSEARCH_PORT", ""),
    )
