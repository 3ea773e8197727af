"""What `api-exchange check` says of its findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from api_exchange_core.application.topology import Finding, Severity, Topology
from api_exchange_core.domain.trigger import HttpTrigger


def fails(findings: Sequence[Finding], *, strict: bool) -> bool:
    """Whether the check has failed: there are errors or, if it is *strict*, warnings."""
    failing = (Severity.ERROR, Severity.WARNING) if strict else (Severity.ERROR,)
    return any(finding.severity in failing for finding in findings)


def report(topology: Topology, findings: Sequence[Finding]) -> str:
    """What proves the tenants of requests, the findings with their mends below, and then how many there are."""
    found = [line for finding in findings for line in _lines(finding)]
    return "\n".join([*_proofs(topology), *found, _summary(topology, findings)])


def _proofs(topology: Topology) -> Iterator[str]:
    for step in topology.steps:
        if isinstance(step.function.trigger, HttpTrigger):
            yield f"{step.function.name}: {step.started_by}"


def _lines(finding: Finding) -> Iterator[str]:
    where = "" if finding.function is None else f"{finding.function}: "
    yield f"{finding.severity}: {where}{' '.join(finding.text.split())}"
    if finding.mend:
        yield f"  {finding.mend}"


def _summary(topology: Topology, findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    counted = ", ".join(_count(counts[severity], severity) for severity in Severity if counts[severity])
    return f"{topology.name}: {_count(len(topology.steps), 'function')}, {counted or 'nothing found'}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
