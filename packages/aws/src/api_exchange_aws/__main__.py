"""``python -m api_exchange_aws doctor module:exchange``: what is wrong with a deployment.

It changes nothing, finds region and credentials as AWS's SDKs do, and ends with 1 if messages are lost or never taken.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from botocore.session import Session

from api_exchange_aws.clients import lambda_client, sqs_client
from api_exchange_aws.doctor import Doctor
from api_exchange_aws.sqs.queues import Queues
from api_exchange_core.application.topology import Severity
from api_exchange_core.cli.loading import load_exchange
from api_exchange_core.domain.errors import ExchangeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 1 if it finds errors, 2 if it cannot look."""
    parser = argparse.ArgumentParser(prog="python -m api_exchange_aws")
    doctor = parser.add_subparsers(dest="command", required=True).add_parser(
        "doctor", help="what is wrong with the queues of a deployment, and with what starts its functions"
    )
    doctor.add_argument("exchange", help="module:attribute")
    doctor.add_argument("--prefix", default="", help="what the names of its queues begin with")
    given = parser.parse_args(arguments)
    try:
        session = Session()
        sqs = sqs_client(session)
        findings = Doctor(Queues(sqs, given.prefix), sqs, lambda_client(session)).examine(
            load_exchange(given.exchange)
        )
    except ExchangeError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for one in findings:
        sys.stdout.write(
            f"{one.severity.value}: {one.function}: {one.text}. {one.mend[:1].upper()}{one.mend[1:]}.\n"
        )
    if not findings:
        sys.stdout.write("Nothing is wrong.\n")
    return int(any(one.severity is Severity.ERROR for one in findings))


if __name__ == "__main__":
    sys.exit(main())
