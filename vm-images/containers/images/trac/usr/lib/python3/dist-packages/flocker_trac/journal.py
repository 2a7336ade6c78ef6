"""The lines of trac.log, as records for the search server."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

# The beginning of a record; lines without one (tracebacks) belong to the record
# before them. The format is set in /etc/trac/trac.ini.
HEADER = re.compile(
    rb"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) "
    rb"Trac\[(?P<source>[^\]]*)\] (?P<level>[A-Z]+): ",
)
# groonga's limit for a key is 4 KiB and for a value far more; a record this long
# is of no use to a reader.
LONGEST_MESSAGE = 64 * 1024


class Record(NamedTuple):
    """One record, and where in the file it begins."""

    offset: int
    time: float
    level: str
    source: str
    message: str


def parse_records(content: bytes, start: int) -> list[Record]:
    """Splits `content`, which begins at offset `start` of the file and ends with a line."""
    records: list[Record] = []
    offset = start
    for line in content.splitlines(keepends=True):
        header = HEADER.match(line)
        text = line[header.end() if header else 0 :].decode("utf-8", "replace").rstrip("\n")
        if header:
            moment = datetime.strptime(header["time"].decode(), "%Y-%m-%d %H:%M:%S,%f")
            records.append(
                Record(
                    offset,
                    moment.replace(tzinfo=UTC).timestamp(),
                    header["level"].decode(),
                    header["source"].decode("utf-8", "replace"),
                    text,
                )
            )
        elif records:
            last = records[-1]
            message = f"{last.message}\n{text}"[:LONGEST_MESSAGE]
            records[-1] = last._replace(message=message)
        offset += len(line)
    return records
