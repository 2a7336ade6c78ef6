"""The searches that people made last: the page's only state, on its volume."""

import json
import os
import threading
from pathlib import Path

FILE = Path("/var/run/elasticsearch/recent.json")
KEPT = 6
_lock = threading.Lock()


def searches() -> list[str]:
    """The newest first; none if there is no volume."""
    try:
        found = json.loads(FILE.read_text())
    except (OSError, ValueError):
        return []
    return [text for text in found if isinstance(text, str)][:KEPT]


def remember(text: str) -> None:
    """Puts a search in front. A volume that cannot be written loses only this."""
    if not text:
        return
    with _lock:
        known = searches()
        if known[:1] == [text]:
            return
        unfinished = FILE.with_suffix(".unfinished")
        try:
            with unfinished.open("w") as file:
                json.dump([text, *(other for other in known if other != text)][:KEPT], file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(FILE)
        except OSError:
            pass
