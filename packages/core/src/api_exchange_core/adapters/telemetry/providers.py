"""Setting up OpenTelemetry's SDK for a process: Prometheus to be read from it, OTLP to be sent by it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import metrics, trace

from api_exchange_core.domain.errors import DeclarationError

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
_HTTP = "http/protobuf"

Page = Callable[[], tuple[bytes, str]]
"""Makes the text that a Prometheus reads, and its content type."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What collects metrics and spans in this process.

    Args:
        page: what Prometheus reads; None where the application has an SDK of its own.
        shutdown: sends what has not been sent yet.
    """

    page: Page | None
    shutdown: Callable[[], None]


def start_telemetry(service: str) -> Telemetry:
    """Collect metrics for Prometheus and, if the environment names where to, send metrics and spans by OTLP.

    What OTLP needs to know is in OpenTelemetry's own environment variables: ``OTEL_EXPORTER_OTLP_ENDPOINT`` switches
    it on (or ``..._TRACES_ENDPOINT`` and ``..._METRICS_ENDPOINT`` one of the two), ``OTEL_EXPORTER_OTLP_HEADERS``,
    ``OTEL_SERVICE_NAME``, ``OTEL_TRACES_SAMPLER`` and the others mean what they always mean.

    A process that has an SDK already (``opentelemetry-instrument``, a vendor's) is left as it is.

    Args:
        service: the name of the service, unless the environment names one.

    Raises:
        DeclarationError: OTLP is asked for and not installed, or by a protocol that is not there.
    """
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return Telemetry(page=None, shutdown=_nothing)
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource

    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", service)})
    page, prometheus = _prometheus()
    readers = [prometheus, *_otlp_metrics()]
    meters = MeterProvider(readers, resource=resource)
    ended = [meters.shutdown, *_start_traces(resource)]
    metrics.set_meter_provider(meters)

    def shutdown() -> None:
        for end in ended:
            end()

    return Telemetry(page=page, shutdown=shutdown)


def _prometheus() -> tuple[Page, MetricReader]:
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

    registry = CollectorRegistry()  # one of our own: the global one is the application's
    reader = PrometheusMetricReader(scope_info_enabled=False, registry=registry)
    return lambda: (generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4), reader


def _otlp_metrics() -> list[MetricReader]:
    if not _is_wanted("METRICS"):
        return []
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    except ImportError as error:
        raise _not_installed() from error
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    return [PeriodicExportingMetricReader(OTLPMetricExporter())]


def _start_traces(resource: Resource) -> list[Callable[[], None]]:
    if not _is_wanted("TRACES"):
        return []
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise _not_installed() from error
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    return [tracers.shutdown]


def _is_wanted(signal: str) -> bool:
    if not (os.environ.get(_ENDPOINT) or os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")):
        return False
    protocol = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or os.environ.get(_PROTOCOL) or _HTTP
    if protocol != _HTTP:
        raise DeclarationError(
            f"OTLP by {protocol!r} is not there: set {_PROTOCOL} to {_HTTP!r}, or to nothing"
        )
    return True


def _not_installed() -> DeclarationError:
    return DeclarationError(
        f'{_ENDPOINT} asks for OTLP, which is not installed: pip install "api-exchange-core[otlp]"'
    )


def _nothing() -> None:
    """Whoever has set up the SDK ends it."""
