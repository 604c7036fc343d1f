"""The parsers of Prometheus: they read the responses of `/metrics`, in both formats.

usage: openmetrics.py HOST:PORT

Expects the example model iris, serving.
"""

import http.client
import json
import sys

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

import checks

ADDRESS = sys.argv[1]
REQUEST = {"inputs": [{"name": "measurements", "datatype": "FP64", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}]}

OPEN_METRICS = "application/openmetrics-text"
TEXT = "text/plain"


def ask(method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(ADDRESS)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    return response.read().decode(), response.getheader("Content-Type")


def warm():
    """Makes requests, so that their families have samples."""
    for _ in range(3):
        ask("POST", "/v2/models/iris/infer", json.dumps(REQUEST), {"Content-Type": "application/json"})


def described(families):
    samples = sum(len(family.samples) for family in families)
    assert len(families) >= 15 and samples >= 100, (len(families), samples)
    missing = [family.name for family in families if not family.documentation]
    assert not missing, f"without help: {missing}"
    assert not [family.name for family in families if family.type in ("unknown", "untyped")]
    assert any(family.name.startswith("wardian_") for family in families)


def open_metrics():
    for accept in (f"{OPEN_METRICS}; version=1.0.0", f"{OPEN_METRICS};q=0.5,{TEXT};q=0.2"):
        text, content_type = ask("GET", "/metrics", headers={"Accept": accept})
        assert content_type.startswith("application/openmetrics-text; version=1.0.0"), content_type
        described(list(openmetrics_parser.text_string_to_metric_families(text)))


def prometheus_text():
    for accept in (TEXT, f"{TEXT};version=0.0.4", f"{TEXT};q=0.9,{OPEN_METRICS};q=0.1"):
        text, content_type = ask("GET", "/metrics", headers={"Accept": accept})
        assert content_type.startswith("text/plain; version=0.0.4"), content_type
        assert "# EOF" not in text
        described(list(parser.text_string_to_metric_families(text)))


checks.run(warm, open_metrics, prometheus_text)
