"""Calls of gRPC and their answers, one file for each case.

usage: grpc_cases.py HOST:PORT FOLDER LEAST

A case is the method, the request, the status and the answer, messages in protocol buffers' JSON:

    ModelReady
    {"name": "iris"}
    > OK
    {"ready": true}

Numbers of an answer may differ by rounding. Each line after the status of an error is a part of its text. There are at
least LEAST cases, for a server with the example models.
"""

import json
import math
import pathlib
import sys

import grpc
from google.protobuf import json_format
from tritonclient.grpc import service_pb2, service_pb2_grpc

import checks

ADDRESS, FOLDER, LEAST = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
stub = service_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(ADDRESS))
METHODS = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name


def equal(one, other):
    if isinstance(one, float) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-9)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def run_case(text):
    head, rest = text.split("\n", 1)
    request, answer = rest.split("\n> ", 1)
    status, *lines = answer.strip().split("\n")
    message = getattr(service_pb2, METHODS[head].input_type.name)()
    json_format.Parse(request, message)
    call = getattr(stub, head)
    try:
        if METHODS[head].client_streaming:
            [answer] = call(iter([message]), timeout=30)
        else:
            answer = call(message, timeout=30)
    except grpc.RpcError as error:
        assert error.code().name == status, error
        for line in lines:
            assert line in error.details(), (line, error.details())
        return
    assert status == "OK", answer
    answer = json_format.MessageToDict(answer, preserving_proto_field_name=True)
    assert equal(answer, json.loads("\n".join(lines))), json.dumps(answer)


def cases():
    files = sorted(FOLDER.iterdir())
    assert len(files) >= LEAST, len(files)
    for file in files:
        try:
            run_case(file.read_text())
        except Exception as error:
            raise AssertionError(file.name) from error


checks.run(cases)
