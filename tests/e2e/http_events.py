"""End-to-end tests of what is kept, over HTTP: Server-Sent Events without gaps, commands that are run later, receipts of events."""
import http.client
import json
import os
import shutil
import signal
import tempfile
import urllib.parse

from network import Program, eventually

ROUTES = """
events: { topics: [order.*], streams_max: 4, keep_alive: 200ms }
routes:
  - route: POST /orders
    emit: order.placed
    fields: body
  - route: POST /secrets
    emit: secret.told
    fields: body
  - route: POST /reports
    call: report.make
    later: true
    budget: 5s
"""


class Events:
    """A client of GET /events: what `EventSource` would see."""

    def __init__(self, address, query, last_id=None, within=10.0):
        self.connection = http.client.HTTPConnection(address, timeout=within)
        self.connection.request("GET", "/events?" + query, headers={"Last-Event-ID": last_id} if last_id else {})
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.last_id = last_id
        self.retry = None
        self.comments = 0

    def next(self):
        """The next event, as its name and its data; None at the end."""
        name, data = "message", []
        while True:
            line = self.answer.readline()
            if not line:
                return None
            line = line.decode().rstrip("\n")
            if not line:
                if data:
                    return name, json.loads("\n".join(data))
                name = "message"
            elif line.startswith(":"):
                self.comments += 1
            else:
                field, _, value = line.partition(": ")
                if field == "id":
                    self.last_id = value
                elif field == "event":
                    name = value
                elif field == "data":
                    data.append(value)
                elif field == "retry":
                    self.retry = int(value)

    def begun(self):
        while self.retry is None or self.last_id is None:
            line = self.answer.readline().decode()
            assert line, "the stream ended before it began"
            if line.startswith("id: "):
                self.last_id = line[4:].strip()
            elif line.startswith("retry: "):
                self.retry = int(line[7:])
        return self

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def define(test, bin_folder):
    class Kept:
        """A broker that keeps events in a folder, at endpoints that it comes back to, and a gateway."""

        def __init__(self, data=None):
            self.folder = tempfile.mkdtemp(prefix="waggle-")
            self.data = data or f"{self.folder}/data"
            self.endpoint = f"ipc://{self.folder}/commands"
            self.started = []
            with open(f"{self.folder}/routes.yaml", "w", encoding="ascii") as routes:
                routes.write(ROUTES)
            try:
                self.broker = self.start_broker()
                self.gateway = self.start("waggle-gateway", "--http", "127.0.0.1:0", "--broker", self.endpoint, "--routes", f"{self.folder}/routes.yaml")
                self.address = self.gateway.value("http")
                eventually(lambda: self.ask("GET", "/readyz")[0] == 200)
            except BaseException:
                self.__exit__()
                raise

        def start(self, program, *arguments):
            self.started.append(Program(os.path.join(bin_folder, program), *arguments))
            return self.started[-1]

        def start_broker(self):
            return self.start("waggle-broker", "--commands", self.endpoint, "--events-in", f"ipc://{self.folder}/in", "--events-out",
                              f"ipc://{self.folder}/out", "--data", self.data)

        def ask(self, method, path, body=None, **headers):
            connection = http.client.HTTPConnection(self.address, timeout=40)
            try:
                connection.request(method, path, body=None if body is None else json.dumps(body),
                                   headers={name.replace("_", "-"): value for name, value in headers.items()})
                answer = connection.getresponse()
                text = answer.read()
                return answer.status, dict(answer.getheaders()), json.loads(text) if text else None
            finally:
                connection.close()

        def order(self, number, **headers):
            status, _, receipt = self.ask("POST", "/orders", number, **headers)
            assert status == 202 and receipt["durable"] and receipt["stream"] == "events", (status, receipt)
            return receipt

        def __enter__(self):
            return self

        def __exit__(self, *_):
            for each in reversed(self.started):
                each.__exit__()
            shutil.rmtree(self.folder)

    @test("http events: a client sees what comes, and after coming back what came meanwhile, in order and once")
    def _():
        with Kept() as net:
            with Events(net.address, "topic=order.") as client:
                assert client.status == 200 and client.answer.getheader("Content-Type") == "text/event-stream"
                client.begun()
                assert 1000 <= client.retry <= 3000
                for number in range(3):
                    net.order(number)
                assert [client.next() for _ in range(3)] == [("order.placed", number) for number in range(3)]
                seen = client.last_id
            for number in range(3, 200):
                net.order(number)
            with Events(net.address, "topic=order.", seen) as client:
                assert [client.next()[1] for _ in range(197)] == list(range(3, 200))
                net.order(200)
                assert client.next() == ("order.placed", 200)
            with Events(net.address, "topic=order.&last_event_id=" + urllib.parse.quote(seen) + "&stream=events") as client:
                assert client.next()[1] == 3
            with Events(net.address, "last=2") as client:
                assert [client.next()[1] for _ in range(2)] == [199, 200]
            with Events(net.address, "since=1h&topic=order.placed") as client:
                assert client.next()[1] == 0
            with Events(net.address, "from=201") as client:
                assert client.next()[1] == 200

    @test("http events: a stream goes on where it was when the broker is killed and comes back")
    def _():
        with Kept() as net, Events(net.address, "topic=order.") as client:
            client.begun()
            net.order(1)
            assert client.next()[1] == 1
            net.broker.stop(signal.SIGKILL)
            net.broker = net.start_broker()
            eventually(lambda: net.ask("POST", "/orders", 2)[0] == 202)
            eventually(lambda: net.ask("POST", "/orders", 3)[0] == 202)
            got = []
            while 3 not in got:
                got.append(client.next()[1])
            assert [each for each in got if each in (2, 3)] == sorted(each for each in got if each in (2, 3)), got

    @test("http events: what is not let out is refused, and so are ids that are none and one client too many")
    def _():
        with Kept() as net:
            for path, headers, status in (("/events?topic=secret.", {}, 403), ("/events?topic=order.*", {}, 400), ("/events", {"Last_Event_ID": "120"}, 400),
                                          ("/events", {"Accept": "application/json"}, 406), ("/events", {"Last_Event_ID": "events:99"}, 410)):
                got, headers, problem = net.ask("GET", path, **headers)
                assert got == status and problem["status"] == status, (path, got, problem)
            assert net.ask("POST", "/secrets", 1)[0] == 202
            clients = [Events(net.address, "").begun() for _ in range(4)]
            status, headers, _ = net.ask("GET", "/events")
            assert status == 503 and int(headers["Retry-After"]) > 0, (status, headers)
            clients.pop().close()
            net.order(7)
            assert all(client.next() == ("order.placed", 7) for client in clients)
            eventually(lambda: Events(net.address, "").status == 200, what="the place of a client that has gone is free")

    @test("http events: a quiet stream is kept alive, and ends whole when the gateway stops")
    def _():
        with Kept() as net, Events(net.address, "topic=order.") as client:
            client.begun()
            net.order(1)
            client.next()
            net.gateway.process.send_signal(signal.SIGTERM)
            assert client.next() is None
            assert net.gateway.process.wait(10) == 0
            assert client.answer.isclosed()

    @test("later: a command over HTTP is accepted, is run once somebody serves it, and its outcome can be fetched")
    def _():
        with Kept() as net:
            status, headers, receipt = net.ask("POST", "/reports", {"month": 1}, Idempotency_Key="r-1")
            assert status == 202 and receipt["state"] == "waiting", (status, receipt)
            place = headers["Location"]
            assert place == "/operations/" + receipt["operation"]
            status, headers, problem = net.ask("POST", "/reports", {"month": 1}, Idempotency_Key="r-1")
            assert status == 409 and headers["Location"] == place, (status, headers)
            assert net.ask("POST", "/reports", {"month": 2}, Idempotency_Key="r-1")[0] == 422
            assert net.ask("POST", "/reports", {"month": 2}, Idempotency_Key="a b")[0] == 400
            status, headers, outcome = net.ask("GET", place)
            assert status == 200 and outcome["state"] == "waiting" and headers["Retry-After"] == "1", (status, headers, outcome)
            assert net.ask("GET", "/operations/unknown")[0] == 404

            net.start("waggle-hello", "--broker", net.endpoint)
            eventually(lambda: net.ask("GET", "/hello?name=Ada")[0] == 200)
            status, headers, receipt = net.ask("GET", "/hello?name=Ada", Prefer="respond-async", Idempotency_Key="h-1")
            assert status == 202 and headers["Preference-Applied"] == "respond-async", (status, headers)
            status, _, outcome = net.ask("GET", headers["Location"], Prefer="wait=20")
            assert status == 200 and outcome["state"] == "succeeded" and "Ada" in outcome["result"]["message"], outcome
            status, again, _ = net.ask("GET", "/hello?name=Ada", Prefer="respond-async", Idempotency_Key="h-1")
            assert status == 202 and again["Location"] == headers["Location"]

    @test("http events: a request with the same Idempotency-Key is the same event")
    def _():
        with Kept() as net:
            first, second = net.order(1, Idempotency_Key="o-1"), net.order(1, Idempotency_Key="o-1")
            assert second["sequence"] == first["sequence"] and second["repeated"]

    @test("http events: a broker that keeps nothing takes neither events that are to be kept nor commands for later")
    def _():
        with Kept(data="none") as net:
            for path in ("/orders", "/reports"):
                status, _, problem = net.ask("POST", path, 1)
                assert status == 501 and "--data" in problem["detail"], (path, status, problem)
