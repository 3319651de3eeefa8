"""End-to-end tests of who may ask how much, over real connections: rates, proxies, CORS, places, breakers and retries."""
import http.client
import itertools
import json
import os
import signal
import tempfile
import time

from network import Network, eventually

RATES = """
rates: { limit: 3, per: 1h, by: address }
proxies: [127.0.0.3]
routes:
  - route: GET /quick
    call: hello.say
    fields: { name: { value: x } }
    rate: { limit: 1, per: 10s, by: route }
"""

CORS = """
cors: { origins: ["https://app.example.com"], credentials: true, max_age: 1m }
events: { topics: [order.*] }
routes: []
"""

PLACES = """
routes:
  - route: GET /wait
    call: silent.wait
    budget: 30s
    concurrency: 1
"""

TROUBLE = """
breaker: { failures: 50%, of: 4, within: 1m, open: 1s }
routes:
  - route: GET /optional
    steps:
      said: { call: hello.say, fields: { name: { value: x } }, optional: true }
    reply: { said: step.said }
    incomplete: 203
"""

RETRIES = "retries: { attempts: 5, budget: 100% }\nroutes: []\n"


def define(test, bin_folder, in_background):
    """Adds the tests to run.py's."""

    class Limited(Network):
        def __init__(self, text, **how):
            with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
                file.write(text)
            self.file = file.name
            super().__init__(bin_folder, routes=file.name, **how)

        def __exit__(self, *_):
            super().__exit__()
            os.unlink(self.file)

        def ask(self, path, method="GET", source="127.0.0.1", within=40, **headers):
            """(status, headers, body) of one request from an address of this machine."""
            host, port = self.http[7:].rsplit(":", 1)
            connection = http.client.HTTPConnection(host, int(port), timeout=within, source_address=(source, 0))
            try:
                connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
                answer = connection.getresponse()
                return answer.status, answer.msg, answer.read()
            finally:
                connection.close()

    @test("rates: each address has its own, what a client says of itself changes nothing, and what a proxy says does")
    def _():
        with Limited(RATES) as net:
            for left in (2, 1, 0):
                status, headers, _ = net.ask("/none", X_Forwarded_For=f"192.0.2.{left}", Forwarded="for=192.0.2.9")
                assert status == 404 and headers["RateLimit-Policy"] == '"address-1h";q=3;w=3600', (status, headers)
                assert headers["RateLimit"].startswith(f'"address-1h";r={left};t='), headers["RateLimit"]
            status, headers, body = net.ask("/none", X_Forwarded_For="192.0.2.77")
            problem = json.loads(body)
            assert status == 429 and headers["Content-Type"] == "application/problem+json", (status, headers)
            assert problem["code"] == "RESOURCE_EXHAUSTED" and problem["violated-policies"] == ["address-1h"] and not problem["may_have_run"], problem
            assert 1190 < int(headers["Retry-After"]) <= 1200, headers["Retry-After"]
            assert net.ask("/livez")[0] == 200 and net.ask("/readyz")[0] in (200, 503)

            assert net.ask("/none", source="127.0.0.2")[0] == 404
            for _ in range(3):
                assert net.ask("/none", source="127.0.0.3", X_Forwarded_For="6.6.6.6, 192.0.2.1")[0] == 404
            assert net.ask("/none", source="127.0.0.3", X_Forwarded_For="7.7.7.7, 192.0.2.1")[0] == 429
            assert net.ask("/none", source="127.0.0.3", X_Forwarded_For="192.0.2.2")[0] == 404
            assert net.ask("/none", source="127.0.0.3", X_Forwarded_For="127.0.0.1")[0] == 429  # the proxy may ask for the first one, too

    @test("rates: one of a route lets through again what comes in, over all threads of a gateway")
    def _():
        with Limited(RATES) as net:
            net.start("waggle-hello", "--broker", net.endpoint)
            counter = itertools.count()

            def another():  # which has no requests of its own yet
                n = next(counter)
                return f"127.1.{n // 250}.{n % 250 + 1}"
            eventually(lambda: net.ask("/quick", source=another())[0] == 200, what="the route is there")
            refused = [net.ask("/quick", source=f"127.2.0.{i + 1}") for i in range(8)]  # each on a connection, which any thread may have
            assert all(each[0] == 429 for each in refused), refused
            assert 1 <= int(refused[0][1]["Retry-After"]) <= 10, refused[0][1]
            assert '"route-route-10s";r=0' in refused[0][1]["RateLimit"], refused[0][1]
            eventually(lambda: net.ask("/quick", source=another())[0] == 200, 30, "a request passes again")

    @test("cors: an allowed page may read answers, errors and streams, and learns of a preflight what it may send; others learn nothing")
    def _():
        with Limited(CORS) as net:
            net.hello()
            page, other = "https://app.example.com", "https://app.example.com.evil.example"
            status, headers, _ = net.ask("/hello", "OPTIONS", Origin=page, Access_Control_Request_Method="GET", Access_Control_Request_Headers="idempotency-key")
            assert status == 204 and headers["Access-Control-Allow-Origin"] == page and headers["Access-Control-Allow-Credentials"] == "true", headers
            assert "GET" in headers["Access-Control-Allow-Methods"] and "Idempotency-Key" in headers["Access-Control-Allow-Headers"], headers
            assert headers["Access-Control-Max-Age"] == "60", headers
            varies = ", ".join(headers.get_all("Vary"))
            assert all(each in varies for each in ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")), varies
            status, headers, _ = net.ask("/hello", "OPTIONS", Origin=other, Access_Control_Request_Method="GET")
            assert status == 204 and not [each for each in headers if each.startswith("Access-Control")] and "Origin" in headers.get_all("Vary"), headers
            for path, status in (("/hello?name=x", 200), ("/hello", 400), ("/none", 404), ("/readyz", 200)):
                got, headers, _ = net.ask(path, Origin=page)
                assert got == status and headers["Access-Control-Allow-Origin"] == page and "Origin" in headers.get_all("Vary"), (path, got, headers)
                assert "X-Request-Id" in headers["Access-Control-Expose-Headers"], headers
                got, headers, _ = net.ask(path, Origin=other)
                assert got == status and headers["Access-Control-Allow-Origin"] is None and "Origin" in headers.get_all("Vary"), (path, got, headers)
            host, port = net.http[7:].rsplit(":", 1)
            stream = http.client.HTTPConnection(host, int(port), timeout=20)
            stream.request("GET", "/events", headers={"Origin": page})
            answer = stream.getresponse()
            assert answer.status == 200 and answer.getheader("Access-Control-Allow-Origin") == page, answer.getheaders()
            stream.close()

    @test("concurrency: past the places of a route requests are refused at once, and a place comes back")
    def _():
        with Limited(PLACES, pulse="100ms") as net:
            worker = net.python("tests/e2e/silent_worker.py")
            first = in_background(lambda: net.ask("/wait"))
            eventually(lambda: "called" in worker.read(), what="the worker has the call")
            begun = time.monotonic()
            status, headers, body = net.ask("/wait")
            assert status == 503 and headers["Retry-After"] == "1" and json.loads(body)["code"] == "RESOURCE_EXHAUSTED", (status, body)
            assert time.monotonic() - begun < 5
            worker.stop(signal.SIGKILL)
            assert first()[0] == 503
            assert "RESOURCE_EXHAUSTED" not in net.ask("/wait")[2].decode()

    @test("breaker: a command whose worker was killed is answered at once after a few failures, and comes back with its worker")
    def _():
        with Limited(TROUBLE, pulse="100ms") as net:
            worker = net.hello()
            assert net.ask("/optional")[0] == 200
            worker.stop(signal.SIGKILL)

            def is_open():
                status, headers, body = net.ask("/hello?name=x")
                return status == 503 and "too many have failed" in body.decode() and headers
            headers = eventually(is_open, 60, "the breaker has opened")
            assert headers["Retry-After"] == "1", headers

            def skipped():
                begun = time.monotonic()
                status, headers, _ = net.ask("/optional")
                return status == 203 and headers["Waggle-Incomplete"] == "said" and time.monotonic() - begun < 1
            eventually(skipped, what="an optional step is missing at once")
            net.start("waggle-hello", "--broker", net.endpoint)
            eventually(lambda: all(net.ask("/hello?name=x")[0] == 200 for _ in range(5)), 30, "the breaker has closed")
            assert net.ask("/optional")[0] == 200

    @test("retries: a safe call that comes while no worker is there is answered by the one that comes back")
    def _():
        with Limited(RETRIES, pulse="100ms") as net:
            worker = net.hello()

            def bridged():
                nonlocal worker
                worker.stop(signal.SIGKILL)
                # The broker has given up waiting for another: each call fails at once.
                eventually(lambda: "UNAVAILABLE" in net.cli("call", "hello.say", '{"name":"x"}')[2] and fails_at_once(net), 30, "nobody serves it")
                asked = in_background(lambda: net.ask("/hello?name=x")[0])
                worker = net.start("waggle-hello", "--broker", net.endpoint)
                return asked() == 200
            eventually(bridged, 120, "a request was tried until the worker was there")

    def fails_at_once(net):
        begun = time.monotonic()
        net.cli("call", "hello.say", '{"name":"x"}')
        return time.monotonic() - begun < 1
