"""Sends trac.log to the search server, each line once, never in a request's way.

The file on the volume is the queue. How far it was sent is remembered beside
it, and written only after the server has said that the lines are on its disk;
so lines are not lost when either side is cut off, and a line that is sent twice
has the same key twice, which groonga stores once.
"""

import json
import logging
import os
import threading
import time
import urllib.error
import urllib.request
import uuid
from contextlib import ExitStack
from pathlib import Path

from .journal import Record, parse_records
from .settings import say

BATCH_BYTES = 256 * 1024
POLL_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
# How often to look, when there is nothing to send, whether the server still has
# the database that the lines were sent to.
LOOK_SECONDS = 5.0
ANSWER_SECONDS = 10.0
# A log this large that has been sent completely is emptied.
LARGEST_LOG_BYTES = 16 * 1024 * 1024


class SearchServerAway(Exception):
    """The search server did not take or answer a request."""


class Position:
    """How far the log was sent; lives in a file that is replaced atomically."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = uuid.uuid4().hex
        # Counts how often the log was emptied, so that keys stay unique.
        self.round = 0
        # Where the last sent record begins: it may still get more lines.
        self.record = 0
        # The end of what was sent.
        self.end = 0
        # The database of the server that has it.
        self.server = ""
        try:
            self.__dict__.update(json.loads(path.read_text()))
        except FileNotFoundError:
            # Before the first line is sent: its key has the log's name in it.
            self.save()

    def save(self) -> None:
        """Writes the position durably."""
        state = {name: value for name, value in vars(self).items() if name != "path"}
        unfinished = self.path.with_suffix(".unfinished")
        with unfinished.open("w") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.path)

    def key(self, record: Record) -> str:
        """Names a record for ever; sorts in the order of writing."""
        return f"{self.log}:{self.round:06}:{record.offset:012}"


class Shipper(threading.Thread):
    """The thread that sends."""

    def __init__(self, environment: Path, port: int, logger: str) -> None:
        super().__init__(name="shipper", daemon=True)
        self.logger = logging.getLogger(logger)
        self.file = environment / "log" / "trac.log"
        self.position = Position(environment / "log" / "sent.json")
        self.look_again = 0.0
        self.url = f"http://localhost:{port}/d"

    def run(self) -> None:
        """Sends for ever; says once when the server goes away and comes back."""
        away, pause = False, POLL_SECONDS
        while True:
            try:
                while self.send_batch():
                    pass
                if away:
                    say("the search server answers again; the log is up to date")
                away, pause = False, POLL_SECONDS
            except (SearchServerAway, OSError) as error:
                if not away:
                    say(f"the log waits: {error}")
                away, pause = True, min(pause * 2, LONGEST_PAUSE_SECONDS)
            time.sleep(pause)

    def send_batch(self) -> bool:
        """Sends some lines; false when there is nothing (more) to send."""
        position = self.position
        try:
            size = self.file.stat().st_size
        except FileNotFoundError:
            return False
        if size < position.end:
            # Emptied, and cut off before the position was saved.
            position.round, position.record, position.end = position.round + 1, 0, 0
        if size == position.end and time.monotonic() < self.look_again:
            return False
        server = self.server_identity()
        self.look_again = time.monotonic() + LOOK_SECONDS
        if server != position.server:
            # Another database, or one that was repaired: give it all we have.
            position.server, position.record, position.end = server, 0, 0
        with self.file.open("rb") as file:
            # Or a power cut could take lines back that the server has already,
            # and others would be written in their places.
            os.fsync(file.fileno())
            file.seek(position.record)
            content = file.read(BATCH_BYTES)
        content = content[: content.rfind(b"\n") + 1] or content
        end = position.record + len(content)
        if end <= position.end:
            return False
        records = parse_records(content, position.record)
        if records:
            self.load(records)
        full = len(content) >= BATCH_BYTES // 2
        position.record = records[-1].offset if records and len(records) > 1 else position.record
        if not records or (full and len(records) == 1):
            position.record = end
        position.end = end
        position.save()
        self.empty_large_log()
        return True

    def empty_large_log(self) -> None:
        """Empties a large log; its handlers append, so they go on at its beginning."""
        position = self.position
        if position.end < LARGEST_LOG_BYTES:
            return
        with ExitStack() as locks:
            # Nobody may write between the look at the size and the emptying.
            for handler in self.logger.handlers:
                locks.enter_context(handler.lock)
            if self.file.stat().st_size != position.end:
                return
            os.truncate(self.file, 0)
        position.round, position.record, position.end = position.round + 1, 0, 0
        position.save()

    def load(self, records: list[Record]) -> None:
        """Stores records and returns once they are on the server's disk."""
        rows = [
            {
                "_key": self.position.key(record),
                "time": record.time,
                "level": record.level,
                "source": record.source,
                "message": record.message,
            }
            for record in records
        ]
        stored = self.ask("load?table=Lines", json.dumps(rows).encode())
        if stored != len(rows):
            raise SearchServerAway(f"the search server took {stored} of {len(rows)} lines")
        self.ask("io_flush")

    def server_identity(self) -> str:
        """Names the database of the server."""
        return self.ask("config_get?key=flocker.identity")

    def ask(self, command: str, body: bytes | None = None) -> object:
        """Sends one of groonga's commands and returns its result."""
        request = urllib.request.Request(
            f"{self.url}/{command}", body, {"Content-Type": "application/json"} if body else {}
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
                header, result = json.load(response)
        except (OSError, ValueError, urllib.error.URLError) as error:
            raise SearchServerAway(f"no answer from {self.url}: {error}") from error
        if header[0] != 0:
            raise SearchServerAway(f"the search server failed at {command}: {header}")
        return result
