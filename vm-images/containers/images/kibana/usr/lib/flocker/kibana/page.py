"""Renders the page. Pure: text in, text out."""

from datetime import UTC, datetime
from html import escape
from pathlib import Path
from urllib.parse import urlencode

from search import BUCKET_SECONDS, LEVELS, Answer, Line, Question

HERE = Path(__file__).resolve().parent
STYLE = (HERE / "style.css").read_text()
SCRIPT = (HERE / "refresh.js").read_text()


def render(
    resource: str, question: Question, answer: Answer, recent: list[str], took: float
) -> str:
    """The whole page."""
    shown = len(answer.lines)
    newest = f"the newest {shown} of " if shown < answer.total else ""
    body = f"""
<section class="summary">
  <div class="figure"><b>{answer.total:,}</b><span>log lines{" match" if any(question) else ""}</span></div>
  {_levels(question, answer)}
  {_histogram(answer)}
</section>
<div class="columns">
  <aside>
    <h2>Sources</h2>
    {_sources(question, answer)}
    {_recent(recent)}
  </aside>
  <section>
    <table>
      <thead><tr><th>Time (UTC)</th><th>Level</th><th>Source</th><th>Message</th></tr></thead>
      <tbody>{"".join(_row(line) for line in answer.lines) or _nothing()}</tbody>
    </table>
    <p class="foot">Showing {newest}{answer.total:,} lines, asked from
    <code>{escape(resource)}</code> in {took * 1000:.0f} ms.</p>
  </section>
</div>"""
    return _document(question, body, "live")


def render_away(resource: str, question: Question, reason: str) -> str:
    """The page while the search server does not answer."""
    body = f"""
<section class="away">
  <h2>The search server does not answer</h2>
  <p><code>{escape(resource)}</code>: {escape(reason)}</p>
  <p>This page asks again by itself. Log lines written meanwhile wait where they were written.</p>
</section>"""
    return _document(question, body, "away")


def _document(question: Question, body: str, state: str) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in (("level", question.level), ("source", question.source))
        if value
    )
    chips = "".join(
        f'<a class="chip" href="{_link(question._replace(**{name: ""}))}">{label}: '
        f"{escape(value)} <span>×</span></a>"
        for name, label, value in (
            ("level", "level", question.level),
            ("source", "source", question.source),
            ("text", "text", question.text),
        )
        if value
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log lines</title>
<style>{STYLE}</style>
</head>
<body>
<header>
  <h1><a href="/">Log lines</a></h1>
  <form action="/" method="get" role="search">
    <input type="search" name="q" value="{escape(question.text)}" aria-label="Search"
      placeholder="Search messages, for example: GET /wiki" autocomplete="off">
    {hidden}<button>Search</button>
  </form>
  <span id="state" class="{state}">{state}</span>
</header>
<main id="content">
{f'<p class="chips">{chips}</p>' if chips else ""}
{body}
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _link(question: Question) -> str:
    fields = {"q": question.text, "level": question.level, "source": question.source}
    used = {name: value for name, value in fields.items() if value}
    return escape(f"/?{urlencode(used)}" if used else "/")


def _levels(question: Question, answer: Answer) -> str:
    cells = []
    for level in LEVELS:
        count = answer.levels.get(level, 0)
        if not count and level in ("CRITICAL", "DEBUG"):
            continue
        other = "" if question.level == level else level
        cells.append(
            f'<a class="figure level {level.lower()}{"" if count else " none"}" '
            f'href="{_link(question._replace(level=other))}">'
            f"<b>{count:,}</b><span>{level.lower()}</span></a>"
        )
    return "".join(cells)


def _histogram(answer: Answer) -> str:
    most = max(answer.buckets) or 1
    width, height, gap = 8, 56, 2
    bars = []
    for number, count in enumerate(answer.buckets):
        if not count:
            continue
        begin = answer.until - (len(answer.buckets) - number) * BUCKET_SECONDS
        tall = max(round(count / most * height), 3)
        bars.append(
            f'<rect x="{number * width}" y="{height - tall}" width="{width - gap}" '
            f'height="{tall}" rx="1"><title>{_clock(begin)[:5]}: {count} lines</title></rect>'
        )
    since = answer.until - len(answer.buckets) * BUCKET_SECONDS
    return f"""<figure class="histogram">
<svg viewBox="0 0 {width * len(answer.buckets) - gap} {height}" preserveAspectRatio="none"
  role="img" aria-label="Lines for each minute of the last hour">{"".join(bars)}</svg>
<figcaption><span>{_clock(since)[:5]}</span><span>lines for each minute, at most {max(answer.buckets)}</span>
<span>{_clock(answer.until)[:5]}</span></figcaption></figure>"""


def _sources(question: Question, answer: Answer) -> str:
    most = max(answer.sources.values(), default=1)
    rows = []
    for source, count in answer.sources.items():
        chosen = question.source == source
        link = _link(question._replace(source="" if chosen else source))
        rows.append(
            f'<li{" class=\"chosen\"" if chosen else ""}><a href="{link}">'
            f"<span>{escape(source) or '(none)'}</span><b>{count:,}</b>"
            f'<i style="width:{count / most * 100:.0f}%"></i></a></li>'
        )
    return f"<ul class=\"bars\">{''.join(rows)}</ul>"


def _recent(recent: list[str]) -> str:
    if not recent:
        return ""
    rows = "".join(
        f'<li><a href="{_link(Question(text=text))}">{escape(text)}</a></li>' for text in recent
    )
    return f'<h2>Recent searches</h2><ul class="recent">{rows}</ul>'


def _row(line: Line) -> str:
    moment = datetime.fromtimestamp(line.time, UTC)
    first, newline, rest = line.message.partition("\n")
    message = escape(first)
    if newline:
        message = f"<details><summary>{message}</summary><pre>{escape(rest)}</pre></details>"
    return (
        f'<tr class="{escape(line.level.lower())}">'
        f'<td><time datetime="{moment.isoformat()}"><span>{moment:%d %b}</span> '
        f"{_clock(line.time)}</time></td>"
        f'<td><em>{escape(line.level)}</em></td><td class="source">{escape(line.source)}</td>'
        f"<td>{message}</td></tr>\n"
    )


def _nothing() -> str:
    return '<tr><td colspan="4" class="nothing">No line matches.</td></tr>'


def _clock(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"
