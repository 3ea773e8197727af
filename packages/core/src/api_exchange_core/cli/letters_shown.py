"""Dead letters and jobs on them, as people see them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic_core import from_json, to_json
from rich.text import Text

from api_exchange_core.application.find_dead_letters import LetterGroup
from api_exchange_core.cli.show import Column, moment, span
from api_exchange_core.domain.dead_letter import Letter, LetterFilter, LetterKind, contents
from api_exchange_core.domain.dead_letter_job import ItemState, Job, JobItem
from api_exchange_core.domain.failure import Failure
from api_exchange_core.domain.pace import Pace

_LONGEST = 200
_WHAT = {
    LetterKind.BYTES: "bytes that are no message",
    LetterKind.FOREIGN: "without failure block: the platform moved it here, or somebody put it here",
}


def letter_columns(now: datetime, *, with_queue: bool) -> Sequence[Column[Letter]]:
    """A line a letter."""
    queue = [Column[Letter]("queue", lambda letter: letter.queue)] if with_queue else []
    return [
        Column("id", lambda letter: letter.id, whole=True),
        Column("age", lambda letter: span(now - letter.buried_at), right=True, whole=True),
        *queue,
        Column("tenant", lambda letter: _or_dash(letter.tenant_id)),
        Column("attempts", lambda letter: _attempts(letter), right=True),
        Column("replays", lambda letter: str(letter.replays or "-"), right=True),
        Column("error", lambda letter: _or_dash(letter.code)),
        Column("says", _says),
    ]


def group_columns(now: datetime) -> Sequence[Column[LetterGroup]]:
    """A line for the letters of a queue, function and error."""
    return [
        Column("queue", lambda group: group.queue),
        Column("function", lambda group: _or_dash(group.function)),
        Column("error", lambda group: "(no failure block)" if group.code is None else group.code),
        Column("letters", lambda group: f"{group.letters:,}", right=True),
        Column("oldest", lambda group: span(now - group.oldest), right=True, whole=True),
        Column("newest", lambda group: span(now - group.newest), right=True, whole=True),
        Column(
            "replayed", lambda group: f"{group.replayed:,}" if group.replayed else "-", right=True, spare=True
        ),
        Column("most often says", lambda group: _line(group.reason)),
    ]


def letter_lines(letter: Letter, now: datetime) -> list[tuple[str, str]]:
    """All that is told of a letter, a line a fact; what it has not is left out."""
    failure, entity = letter.failure, letter.entity
    why = (
        []
        if failure is None
        else [
            ("function", failure.function),
            ("error", failure.code),
            ("says", failure.reason),
            ("attempts", f"{failure.attempts:,}"),
            ("fingerprint", failure.fingerprint),
            *_past(failure),
        ]
    )
    about = (
        []
        if entity is None
        else [
            ("entity", f"{entity.canonical_type} {entity.external_id} from {entity.source}"),
            ("", f"{entity.id}, version {entity.version}"),
        ]
    )
    lines = [
        ("letter", letter.id if letter.kind is LetterKind.MESSAGE else f"{letter.id}, {_WHAT[letter.kind]}"),
        ("queue", letter.queue),
        ("died", f"{moment(letter.buried_at)} UTC, {span(now - letter.buried_at)} ago"),
        *why,
        ("replays", f"{letter.replays:,}" if letter.replays else None),
        ("tenant", _or_dash(letter.tenant_id)),
        ("message", letter.message_id),
        ("correlation", letter.correlation_id),
        ("caused by", letter.causation_id),
        *about,
        ("type", letter.type),
        ("made", None if letter.made_at is None else f"{moment(letter.made_at)} UTC"),
        *((f"metadata {name}", value) for name, value in letter.metadata.items()),
        ("size", f"{letter.size:,} bytes"),
    ]
    return [(name, harmless(text)) for name, text in lines if text is not None]


def _past(failure: Failure) -> Sequence[tuple[str, str]]:
    """A line an attempt; of attempts that went like the one before, the time and no more."""
    lines = []
    before: tuple[str, str] | None = None
    for past in failure.history:
        said = (past.code, " ".join(past.reason.split()))
        told = "the same" if said == before else f"{past.code}: {said[1]}"
        lines.append((f"attempt {past.attempt}", f"{moment(past.at)} UTC  {told}"))
        before = said
    return lines


def payload(body: bytes) -> dict[str, Any]:
    """What is in a letter, for programs: its payload, or bytes in base64."""
    inside = contents(body)
    try:
        return {"payload": from_json(inside, allow_inf_nan=False)}
    except ValueError:
        return {"payload_base64": b64encode(inside).decode()}


def payload_text(body: bytes) -> str:
    """What is in a letter, for people: JSON with a line a field, or bytes with escapes."""
    inside = contents(body)
    try:
        return harmless(to_json(from_json(inside, allow_inf_nan=False), indent=2).decode())
    except ValueError:
        return harmless(inside.decode("utf-8", "backslashreplace"))


def job_columns(now: datetime) -> Sequence[Column[Job]]:
    """A line a job."""
    return [
        Column("job", lambda job: str(job.id), right=True, whole=True),
        Column("action", lambda job: job.order.action),
        Column("state", lambda job: job.state(now), whole=True),
        Column("ordered (UTC)", lambda job: moment(job.ordered_at)),
        Column("by", lambda job: job.order.by),
        Column("letters", lambda job: f"{job.selected:,}", right=True),
        Column("came to", _came_to),
        Column("which", lambda job: which(job.order.filter)),
    ]


def job_lines(job: Job, now: datetime) -> list[tuple[str, str]]:
    """All that is told of a job."""
    order = job.order
    most = "" if order.most is None else f", {order.most:,} at most"
    return [
        ("job", f"{job.id}, {order.action}"),
        ("state", job.state(now)),
        ("ordered", f"{moment(job.ordered_at)} UTC by {order.by}"),
        ("which", which(order.filter) + most),
        ("pace", _pace(order.pace)),
        ("letters", f"{job.selected:,}" + ("" if job.frozen else ", selection not complete")),
        *(
            (state, f"{job.counts[state]:,}{_REMARKS.get(state, '')}")
            for state in ItemState
            if state in job.counts
        ),
        *([] if job.finished_at is None else [("finished", f"{moment(job.finished_at)} UTC")]),
    ]


def job_fields(job: Job, now: datetime) -> dict[str, Any]:
    """A job for programs."""
    return {
        "job": job.id,
        "action": job.order.action,
        "state": job.state(now),
        "ordered_at": job.ordered_at,
        "by": job.order.by,
        "filter": job.order.filter,
        "most": job.order.most,
        "pace": job.order.pace,
        "letters": job.selected,
        "counts": {state: job.counts.get(state, 0) for state in ItemState},
        "finished_at": job.finished_at,
    }


def item_columns() -> Sequence[Column[JobItem]]:
    """A line for each letter of a job."""
    return [
        Column("letter", lambda item: item.letter_id, whole=True),
        Column("queue", lambda item: item.queue),
        Column("tenant", lambda item: _or_dash(item.tenant_id)),
        Column("message", lambda item: _or_dash(item.message_id)),
        Column("came to", lambda item: item.state),
        Column("at (UTC)", lambda item: moment(item.ended_at)),
    ]


def which(filter_: LetterFilter) -> str:
    """A filter in words."""
    parts = (
        ("queue", filter_.queue),
        ("function", filter_.function),
        ("tenant", filter_.tenant_id),
        ("error", filter_.error),
        ("fingerprint", filter_.fingerprint),
        ("correlation", filter_.correlation_id),
        ("message", filter_.message_id),
        ("before", None if filter_.buried_before is None else moment(filter_.buried_before)),
        ("since", None if filter_.buried_after is None else moment(filter_.buried_after)),
        ("id", " ".join(filter_.ids) if filter_.ids else None),
    )
    return ", ".join(f"{name} {value}" for name, value in parts if value is not None) or "all"


def harmless(text: str) -> str:
    """*text* without what a terminal would take for a command."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text)


_REMARKS = {
    ItemState.GONE: "  (not there any more when their turn came)",
    ItemState.UNCONFIRMED: "  (in hand when the job was interrupted, and not there afterwards: done, or gone)",
    ItemState.REFUSED: "  (no messages of an exchange, and left where they are)",
}


def _came_to(job: Job) -> str:
    return ", ".join(f"{job.counts[state]:,} {state}" for state in ItemState if state in job.counts) or "-"


def _pace(pace: Pace | None) -> str:
    if pace is None:
        return "as fast as it goes"
    ramp = f", reached within {span(pace.ramp)}" if pace.ramp else ""
    return f"{pace.per_second:,.4g} a second{ramp}"


def _attempts(letter: Letter) -> str:
    return "-" if letter.failure is None else str(letter.failure.attempts)


def _says(letter: Letter) -> Text:
    return _line(f"({letter.kind})" if letter.failure is None else letter.failure.reason)


def _line(text: str | None) -> Text:
    """One line, cut at the edge of the terminal: a letter's reason may have pages."""
    line = "-" if text is None else harmless(" ".join(text.split()))
    cut = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
    return Text(cut, no_wrap=True, overflow="ellipsis")


def _or_dash(text: str | None) -> str:
    return "-" if text is None else text
