"""Health and reflection with gRPC's own packages, and calls that are built from reflection alone, as grpcurl does.

usage: grpc_services.py HOST:PORT KEY

Expects the example model iris on a server that has this key.
"""

import queue
import sys
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import checks

ADDRESS, KEY = sys.argv[1:]
SERVICE = "inference.GRPCInferenceService"
channel = grpc.insecure_channel(ADDRESS)
health = health_pb2_grpc.HealthStub(channel)


def health_without_a_key():
    for service in ("", SERVICE):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, answer
    try:
        health.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=10)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
    else:
        raise AssertionError("an unknown service has no status")


def watches():
    """The state comes at once, and the stream stays open, also for an unknown service."""
    for service, expected in (
        ("", health_pb2.HealthCheckResponse.SERVING),
        ("nobody", health_pb2.HealthCheckResponse.SERVICE_UNKNOWN),
    ):
        call = health.Watch(health_pb2.HealthCheckRequest(service=service))
        states = queue.Queue()

        def read():
            try:
                for answer in call:
                    states.put(answer.status)
            except grpc.RpcError:
                pass

        reader = threading.Thread(target=read)
        reader.start()
        assert states.get(timeout=10) == expected
        assert call.is_active()
        call.cancel()
        reader.join()


def reflection():
    database = ProtoReflectionDescriptorDatabase(channel)
    services = set(database.get_services())
    assert {SERVICE, "grpc.health.v1.Health"} <= services, services
    pool = descriptor_pool.DescriptorPool(database)
    service = pool.FindServiceByName(SERVICE)
    names = [method.name for method in service.methods]
    assert len(names) == 12 and "ModelStreamInfer" in names, names

    request = message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelInferRequest"))()
    request.model_name = "iris"
    tensor = request.inputs.add(name="measurements", datatype="FP64", shape=[1, 4])
    tensor.contents.fp64_contents.extend([5.1, 3.5, 1.4, 0.2])
    answer = message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelInferResponse"))
    infer = channel.unary_unary(
        f"/{SERVICE}/ModelInfer", request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
    )
    for name, value in (("authorization", f"bearer {KEY}"), ("x-api-key", KEY)):
        answer = infer(request, metadata=[(name, value)], timeout=10)
        assert answer.outputs[0].contents.bytes_contents == [b"setosa"], answer


def both_versions_of_reflection():
    """Their messages are the same."""
    for version in ("v1", "v1alpha"):
        call = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE)
        [answer] = call(iter([asked]), timeout=10)
        [file] = answer.file_descriptor_response.file_descriptor_proto
        assert descriptor_pb2.FileDescriptorProto.FromString(file).package == "inference", answer


def keys():
    """Only probes and reflection work without a key."""

    def call(method, *metadata):
        return channel.unary_unary(f"/{SERVICE}/{method}")(b"", metadata=metadata, timeout=10)

    assert call("ServerLive") == call("ServerReady") == b"\x08\x01"
    for method in ("ServerMetadata", "ModelMetadata", "ModelInfer", "RepositoryIndex", "ModelStatistics"):
        for metadata in ((), (("authorization", "Bearer wrong"),)):
            try:
                call(method, *metadata)
            except grpc.RpcError as error:
                expected = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INVALID_ARGUMENT}
                assert error.code() in expected, (method, error)
                unauthenticated = error.code() == grpc.StatusCode.UNAUTHENTICATED
                assert unauthenticated or method == "ModelMetadata", (method, error)
                continue
            raise AssertionError(method)
    assert b"wardian" in call("ServerMetadata", ("x-api-key", KEY))


checks.run(health_without_a_key, watches, reflection, both_versions_of_reflection, keys)
