"""Questions to the search server, in the language of groonga's `select`."""

import json
import time
import urllib.error
import urllib.request
from typing import NamedTuple
from urllib.parse import urlencode

LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")
LINES = 100
BUCKET_SECONDS = 60
BUCKETS = 60
ANSWER_SECONDS = 10.0


class ServerAway(Exception):
    """The search server did not answer, or not in a usable way."""


class Question(NamedTuple):
    """What somebody wants to see; empty means everything."""

    text: str = ""
    level: str = ""
    source: str = ""

    @classmethod
    def from_fields(cls, fields: dict[str, str]) -> "Question":
        """Reads a query string; what makes no sense counts as empty."""
        level = fields.get("level", "")
        return cls(
            fields.get("q", "").strip()[:200],
            level if level in LEVELS else "",
            fields.get("source", "")[:100],
        )


class Line(NamedTuple):
    """One log line."""

    time: float
    level: str
    source: str
    message: str


class Answer(NamedTuple):
    """The newest lines, and counts of all that match."""

    total: int
    lines: list[Line]
    levels: dict[str, int]
    sources: dict[str, int]
    # Lines for each bucket of time, oldest first; the last one is under way.
    buckets: list[int]
    until: float


def ask(resource: str, question: Question) -> Answer:
    """Asks for lines and counts.

    # Errors
    `ServerAway` with a reason for people to read.
    """
    found = _select(
        resource,
        question,
        {
            "sort_keys": "-time,-_key",
            "limit": LINES,
            "output_columns": "time,level,source,message",
            "drilldowns[levels].keys": "level",
            "drilldowns[sources].keys": "source",
            "drilldowns[sources].sort_keys": "-_nsubrecs",
            "drilldowns[sources].limit": 12,
        },
    )
    until = (int(time.time()) // BUCKET_SECONDS + 1) * BUCKET_SECONDS
    since = until - BUCKETS * BUCKET_SECONDS
    counted = _select(
        resource,
        question,
        {
            "limit": 0,
            "columns[minute].stage": "filtered",
            "columns[minute].type": "Time",
            "columns[minute].flags": "COLUMN_SCALAR",
            "columns[minute].value": "time_classify_minute(time)",
            "drilldowns[minutes].keys": "minute",
            "drilldowns[minutes].limit": -1,
        },
        [f"between(time, {since}, 'include', {until}, 'exclude')"],
    )
    buckets = [0] * BUCKETS
    for minute, count in _counts(counted, "minutes").items():
        number = int((float(minute) - since) // BUCKET_SECONDS)
        if 0 <= number < BUCKETS:
            buckets[number] = count
    (total,), _, *rows = found[0]
    return Answer(
        total,
        [Line(*row) for row in rows],
        _counts(found, "levels"),
        _counts(found, "sources"),
        buckets,
        until,
    )


def _select(
    resource: str, question: Question, options: dict[str, object], conditions: list[str] | None = None
) -> list:
    conditions = list(conditions or [])
    if question.level:
        conditions.append(f"level == {_quoted(question.level)}")
    if question.source:
        conditions.append(f"source == {_quoted(question.source)}")
    parameters = {"table": "Lines", **options}
    if question.text:
        # Every word must be there; as phrases, so that no character is an operator.
        parameters["query"] = " ".join(_quoted(word) for word in question.text.split())
        parameters["match_columns"] = "message"
    if conditions:
        parameters["filter"] = " && ".join(conditions)
    url = f"{resource}/d/select?{urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as response:
            header, *body = json.load(response)
    except urllib.error.HTTPError as error:
        raise ServerAway(f"it answered {error.code} {error.reason}") from error
    except (OSError, urllib.error.URLError) as error:
        raise ServerAway(str(getattr(error, "reason", error))) from error
    except ValueError as error:
        raise ServerAway("its answer is no JSON") from error
    if header[0] != 0 or not body:
        raise ServerAway(f"it failed: {header}")
    return body[0]


def _counts(result: list, name: str) -> dict[str, int]:
    """Reads one drilldown: `{name: [[total], [columns…], [key, count]…]}`."""
    (drilldowns,) = [part for part in result[1:] if isinstance(part, dict)] or [{}]
    return {key: count for key, count in drilldowns.get(name, [None, None])[2:]}


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
