"""End-to-end tests of what is seen from outside: the access log, /metrics, and what /readyz says is missing."""
import json
import os
import re
import signal
import socket
import struct
import tempfile
import threading

from network import Network, eventually

ROUTES = """
access_log: { sample: 100%, slow: 10s }
routes:
  - route: GET /hi/{who}
    call: hello.say
    fields: { name: path.who }
  - route: GET /both
    steps:
      one: { call: hello.say, fields: { name: { value: x } } }
      two: { call: nobody.serves, fields: {}, optional: true }
    reply: { said: step.one.message }
"""


def lines_of(path):
    """The whole lines of an access log."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(each) for each in file.read().splitlines(keepends=True) if each.endswith("\n")]


def value_of(text, name, **labels):
    """The value of one series; 0 if it is not there."""
    for line in text.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name and dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or "")) == labels:
            return float(found[3])
    return 0


def define(test, bin_folder):
    """Adds the tests to run.py's."""

    @test("access log: each request has a line of JSON, without its secrets, and the file can be rotated")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            routes, log = os.path.join(folder, "routes.yaml"), os.path.join(folder, "access.log")
            with open(routes, "w", encoding="utf-8") as file:
                file.write(ROUTES)
            with Network(bin_folder, routes=routes, gateway=("--access-log", log)) as net:
                net.hello()
                before = len(lines_of(log))
                secret = {"Authorization": "Bearer s3cret", "Cookie": "session=s3cret", "User-Agent": 'a"b', "X-Request-Id": "mine-1"}
                assert net.get("/hi/Ada?token=s3cret", headers=secret)[0] == 200
                eventually(lambda: len(lines_of(log)) > before, what="the request has its line")
                line = lines_of(log)[before]
                assert "s3cret" not in open(log, encoding="utf-8").read()
                assert (line["http.request.method"], line["url.path"], line["http.route"]) == ("GET", "/hi/Ada", "/hi/{who}"), line
                assert (line["http.response.status_code"], line["http.response.body.size"]) == (200, len('{"message":"hello Ada"}')), line
                assert (line["client.address"], line["user_agent.original"], line["request_id"]) == ("127.0.0.1", 'a"b', "mine-1"), line
                assert 0 < line["http.server.request.duration"] < 10 and len(line["trace_id"]) == 32, line

                os.rename(log, log + ".1")
                net.gateway.process.send_signal(signal.SIGHUP)
                eventually(lambda: os.path.exists(log), what="the log is opened anew")
                net.get("/none")
                eventually(lambda: [each["http.response.status_code"] for each in lines_of(log)] == [404], what="the new file has the line")

                with open(routes, "w", encoding="utf-8") as file:
                    file.write(ROUTES.replace("100%", "0%"))
                net.gateway.process.send_signal(signal.SIGHUP)
                eventually(lambda: "took 2 routes" in net.gateway.log(), what="the sample has changed")
                eventually(lambda: lines_between(net, log) == 0, what="a request that went well has no line")
                assert net.get("/both")[0] == 200

    def lines_between(net, log):
        before = len(lines_of(log))
        assert net.get("/hi/Ada")[0] == 200
        assert net.get("/hello/none")[0] == 404
        return len(lines_of(log)) - before

    @test("access log: a client that goes away before its answer is told of as such")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "access.log")
            with Network(bin_folder, gateway=("--access-log", log, "--metrics"), events="*") as net:
                net.hello()
                host, port = net.http[7:].rsplit(":", 1)
                with socket.create_connection((host, int(port))) as client:
                    client.sendall(b"GET /events?topic=a HTTP/1.1\r\nHost: x\r\n\r\n")
                    assert client.recv(4096).startswith(b"HTTP/1.1 200")
                    eventually(lambda: value_of(net.get("/metrics")[2].decode(), "waggle_gateway_event_streams") == 1, what="the stream is counted")
                    # A reset: who only ends his own side may still read.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                eventually(lambda: any(each.get("error.type") == "abandoned" and each["url.path"] == "/events" for each in lines_of(log)),
                           what="its line says that the client went away")
                eventually(lambda: value_of(net.get("/metrics")[2].decode(), "waggle_gateway_event_streams") == 0, what="and nothing is left of it")

    @test("metrics: rates by route and command, errors by status, queues and workers, under threads that all count")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            routes = os.path.join(folder, "routes.yaml")
            with open(routes, "w", encoding="utf-8") as file:
                file.write(ROUTES)
            with Network(bin_folder, routes=routes, gateway=("--metrics", "--threads", "2")) as net:
                net.hello()
                asking = [threading.Thread(target=lambda: [net.get("/hi/Ada") for _ in range(20)]) for _ in range(5)]
                for each in asking:
                    each.start()
                for each in asking:
                    each.join()
                assert net.get("/both")[0] == 200
                net.get("/none")
                text = net.get("/metrics")[2].decode()
                http = "http_server_request_duration_seconds_count"
                assert value_of(text, http, http_request_method="GET", http_route="/hi/{who}", http_response_status_code="200") == 100, text
                assert value_of(text, http, http_request_method="GET", http_route="", http_response_status_code="404") >= 1, text
                calls = "rpc_client_call_duration_seconds_count"
                assert value_of(text, calls, rpc_system="waggle", rpc_method="hello.say", rpc_response_status_code="OK") >= 101, text
                assert value_of(text, calls, rpc_system="waggle", rpc_method="nobody.serves", rpc_response_status_code="UNIMPLEMENTED") == 1, text
                assert value_of(text, "waggle_broker_workers", command="hello.say") == 1, text
                assert value_of(text, "waggle_gateway_open_calls") >= 1, text
                assert 1 <= value_of(text, "waggle_gateway_connections") < 20, text
                assert net.get("/metrics", method="POST", body=b"")[0] == 405
                ready = json.loads(net.get("/readyz")[2])
                assert ready == {"status": "ready", "unserved": ["nobody.serves"]}, ready

    @test("metrics: they are shown only by a gateway that was told to")
    def _():
        with Network(bin_folder) as net:
            assert net.get("/metrics")[0] == 404
