"""What the doctor says of deployments: a right one, and each way to get one wrong."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from api_exchange_aws.__main__ import main
from api_exchange_aws.doctor import Doctor
from api_exchange_aws.sqs.queues import Queues
from api_exchange_core import (
    Exchange,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    RetryPolicy,
)
from packages.aws.tests.answering import answering, error
from packages.aws.tests.deployment import PREFIX
from packages.aws.tests.ministack.server import ACCOUNT, REGION, Ministack

_DAYS = 86_400


class Nothing(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


def shop(retry: RetryPolicy | None = None) -> Exchange:
    exchange = Exchange("shop", tenants=["customer-a"])
    exchange.queue("take-orders", "orders", Nothing, retry=RetryPolicy() if retry is None else retry)
    return exchange


@dataclass(slots=True)
class Deployed:
    """A deployment of `shop` that is right but for what a test changes."""

    server: Ministack
    timeout: int = 60
    queue: dict[str, str] = field(
        default_factory=lambda: {"VisibilityTimeout": "360", "MessageRetentionPeriod": str(14 * _DAYS)}
    )
    letters: dict[str, str] = field(default_factory=lambda: {"MessageRetentionPeriod": str(14 * _DAYS)})
    receives: int | None = 100
    mapping: dict[str, Any] | None = field(
        default_factory=lambda: {"FunctionResponseTypes": ["ReportBatchItemFailures"]}
    )
    suffix: str = ""

    def deploy(self) -> None:
        sqs, functions = self.server.client("sqs"), self.server.client("lambda")
        fifo = {"FifoQueue": "true"} if self.suffix else {}
        letters = f"{PREFIX}orders-dlq{self.suffix}"
        sqs.create_queue(QueueName=letters, Attributes=self.letters | fifo)
        redrive = {
            "deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{letters}",
            "maxReceiveCount": str(self.receives),
        }
        given = self.queue | fifo | ({} if self.receives is None else {"RedrivePolicy": json.dumps(redrive)})
        url = sqs.create_queue(QueueName=f"{PREFIX}orders{self.suffix}", Attributes=given)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        functions.create_function(
            FunctionName="take-orders",
            Runtime="python3.12",
            Role=f"arn:aws:iam::{ACCOUNT}:role/any",
            Handler="app.handler",
            Timeout=self.timeout,
            Code={"ZipFile": zipped({"app.py": "def handler(event, context): return {}"})},
        )
        if self.mapping is not None:
            functions.create_event_source_mapping(
                EventSourceArn=arn, FunctionName="take-orders", **self.mapping
            )

    def findings(self, exchange: Exchange | None = None) -> list[tuple[str, str, str]]:
        self.deploy()
        sqs = self.server.client("sqs")
        doctor = Doctor(Queues(sqs, PREFIX), sqs, self.server.client("lambda"))
        found = doctor.examine(shop() if exchange is None else exchange)
        assert {one.function for one in found} <= {"take-orders"}
        return [(one.severity.value, one.text, one.mend) for one in found]


def zipped(files: Mapping[str, str]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return written.getvalue()


@pytest.fixture
def deployed(ministack: Ministack) -> Deployed:
    return Deployed(ministack)


def test_a_deployment_as_it_should_be_has_nothing_wrong(deployed: Deployed) -> None:
    assert deployed.findings() == []


def test_a_mapping_that_does_not_report_failures_loses_messages(deployed: Deployed) -> None:
    deployed.mapping = {}
    [(severity, text, mend)] = deployed.findings()
    assert severity == "error"
    assert "removes messages that are to be retried" in text
    assert mend == "set its FunctionResponseTypes to ReportBatchItemFailures"


def test_a_queue_that_starts_nothing_is_told(deployed: Deployed) -> None:
    deployed.mapping = None
    [(severity, text, _)] = deployed.findings()
    assert (severity, "no event source mapping" in text) == ("error", True)


def test_a_mapping_that_is_disabled_is_told(deployed: Deployed) -> None:
    deployed.mapping = {"FunctionResponseTypes": ["ReportBatchItemFailures"], "Enabled": False}
    [(severity, text, mend)] = deployed.findings()
    assert (severity, "nothing is taken" in text, mend) == ("error", True, "enable it")


@pytest.mark.parametrize(("visibility", "severity"), [(59, "error"), (359, "warning")])
def test_messages_must_be_hidden_for_as_long_as_the_function_may_take_and_should_be_for_longer(
    deployed: Deployed, visibility: int, severity: str
) -> None:
    deployed.queue["VisibilityTimeout"] = str(visibility)
    [(told, text, mend)] = deployed.findings()
    assert (told, mend) == (severity, "set VisibilityTimeout to 360 or more")
    assert "0:01:00" in text


def test_a_queue_that_forgets_messages_before_their_last_retry_is_told(deployed: Deployed) -> None:
    deployed.queue["MessageRetentionPeriod"] = str(_DAYS)
    policy = RetryPolicy(max_attempts=5, max_delay=timedelta(hours=8))
    [(severity, text, mend)] = deployed.findings(shop(policy))
    assert severity == "error"
    assert "keeps messages for 1 day, 0:00:00, and retries may take 1 day, 8:00:00" in text
    assert "115200" in mend


def test_without_a_redrive_policy_nothing_is_under_a_process_that_dies(deployed: Deployed) -> None:
    deployed.receives = None
    [(severity, text, _)] = deployed.findings()
    assert (severity, "no redrive policy" in text) == ("warning", True)


def test_a_redrive_policy_that_is_faster_than_the_retries_is_told(deployed: Deployed) -> None:
    deployed.receives = 3
    [(severity, text, mend)] = deployed.findings()
    assert severity == "warning"
    assert "aside after 3 receives" in text
    assert mend == "set maxReceiveCount to 15 or more"


def test_letters_that_go_sooner_than_messages_are_told(deployed: Deployed) -> None:
    deployed.letters["MessageRetentionPeriod"] = str(4 * _DAYS)
    [(severity, text, _)] = deployed.findings()
    assert (severity, "'orders-dlq' keeps letters for less time" in text) == ("warning", True)


def test_a_fifo_queue_is_best_taken_from_one_by_one(deployed: Deployed) -> None:
    deployed.suffix = ".fifo"
    [(severity, text, mend)] = deployed.findings()
    assert (severity, "takes 10 messages at once" in text) == ("warning", True)
    assert "BatchSize to 1" in mend


def test_queues_that_are_not_there_are_told(ministack: Ministack) -> None:
    sqs = ministack.client("sqs")
    found = Doctor(Queues(sqs, PREFIX), sqs, ministack.client("lambda")).examine(shop())
    assert [one.text for one in found] == ["there is no queue 'orders'", "there is no queue 'orders-dlq'"]


def test_a_right_that_is_missing_is_no_finding_but_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with answering({"GetQueueUrl": error("AccessDenied")}) as url:
        sqs = boto3.client("sqs", endpoint_url=url, region_name=REGION)
        with pytest.raises(PermanentError, match="AWS denies sqs:GetQueueUrl"):
            Doctor(Queues(sqs, PREFIX), sqs, None).examine(shop())


def test_the_command_tells_what_is_wrong_and_ends_with_1(
    deployed: Deployed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "doctored_shop.py").write_text(
        "from packages.aws.tests.test_deployment_doctor import shop\nexchange = shop()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, value in {
        "AWS_ENDPOINT_URL": deployed.server.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    deployed.mapping = {}
    deployed.deploy()
    assert main(["doctor", "doctored_shop:exchange", "--prefix", PREFIX]) == 1
    said = capsys.readouterr().out
    assert said.startswith("error: take-orders: the event source mapping")
    assert said.endswith("Set its FunctionResponseTypes to ReportBatchItemFailures.\n")
    assert main(["doctor", "doctored_shop:nothing"]) == 2
    assert "nothing" in capsys.readouterr().err
