"""Existing Majordomo peers at waggle's broker: the end-to-end tests of broker/PROTOCOL.md, "Majordomo"."""
import signal

import msgpack

import majordomo
from network import ANY, Network, eventually

VERSIONS = "0.1", "0.2"


def answers(net, service, version="0.2"):
    """Whether somebody serves it, as mmi.service tells."""
    with majordomo.Client(net.endpoint, version) as client:
        return client.call("mmi.service", service.encode()) == [b"200"]


def start_worker(net, version, service):
    made = net.python("tests/e2e/majordomo.py", version, service)
    eventually(lambda: answers(net, service), what=f"{service} is served")
    return made


def disconnected(socket, version):
    """Waits for the message that sends a worker away."""
    wanted = [b"", b"MDPW01", b"\5"] if version == "0.1" else [b"MDPW02", b"\6"]
    assert eventually(lambda: socket.poll(0) and socket.recv_multipart() == wanted, what="DISCONNECT")


def add(test, bin_folder):
    @test("majordomo: clients and workers of 0.1 and 0.2 talk to each other in all four ways, bodies as they are")
    def _():
        with Network(bin_folder) as net:
            for version in VERSIONS:
                start_worker(net, version, "echo-" + version)
            for client_version in VERSIONS:
                with majordomo.Client(net.endpoint, client_version) as client:
                    for worker_version in VERSIONS:
                        for body in ([b"Hello"], [b""], [b"a", b"", b"\0\xff"], [b"x" * 1_000_000, b"y"], [b"z"] * 1024):
                            assert client.call("echo-" + worker_version, *body) == body, (client_version, worker_version)

    @test("majordomo: a client calls a waggle service, and waggle calls a Majordomo worker")
    def _():
        with Network(bin_folder) as net:
            net.python("services/echo-py/echo.py")
            eventually(lambda: answers(net, "echo.say"), what="echo.say is served")
            for version in VERSIONS:
                with majordomo.Client(net.endpoint, version) as client:
                    assert client.call("echo.say", b"Hello") == [b"Hello"]
                    assert client.call("echo.say", b"Hello", b"World") == [b"Hello", b"World"]
                start_worker(net, version, "same-" + version)
                code, out, err = net.cli("call", "same-" + version, '"hi"')  # binary is base64 in JSON
                assert code == 0 and out.strip() == '"aGk="', (code, out, err)
                code, out, err = net.cli("call", "same-" + version, '{"a":1}')
                assert code == 13 and "it takes a string, binary, or an array of these" in err, (code, out, err)
            code, out, err = net.cli("ls")
            assert "same-0.1" in out and "majordomo" in out, (out, err)

    @test("majordomo: mmi.service tells who is served, and other mmi services are 501")
    def _():
        with Network(bin_folder) as net:
            net.hello()
            for version in VERSIONS:
                with majordomo.Client(net.endpoint, version) as client:
                    assert client.call("mmi.service", b"hello.say") == [b"200"]
                    assert client.call("mmi.service", b"nobody") == [b"404"]
                    assert client.call("mmi.other", b"x") == [b"501"]

    @test("majordomo: partial replies reach a 0.2 client one by one, and a 0.1 client in front of the final one")
    def _():
        with Network(bin_folder) as net:
            start_worker(net, "0.2", "counted")
            with majordomo.Client(net.endpoint, "0.2") as client:
                client.send("counted", b"parts")
                assert client.receive("counted") == ([[b"1"], [b"2"], [b"3"]], [b"parts"])
            with majordomo.Client(net.endpoint, "0.1") as client:
                assert client.call("counted", b"parts") == [b"1", b"2", b"3", b"parts"]

    @test("majordomo: a worker killed with a request is gone within --majordomo-silence, and another serves what comes next")
    def _():
        with Network(bin_folder) as net:
            less_patient = net.start("waggle-broker", "--commands", ANY, "--events-in", ANY, "--events-out", ANY, "--pulse", "200ms",
                                     "--majordomo-silence", "1s")
            net.endpoint = less_patient.value("commands")
            worker = start_worker(net, "0.2", "fragile")
            with majordomo.Client(net.endpoint, "0.2") as client:
                client.send("fragile", b"hold")
                eventually(lambda: "called" in worker.read(), what="the worker has the request")
                worker.stop(signal.SIGKILL)
                eventually(lambda: not answers(net, "fragile"), what="the worker is gone")
                start_worker(net, "0.1", "fragile")
                assert client.call("fragile", b"again") == [b"again"]

    @test("majordomo: workers with the guide's heartbeats keep their seats where waggle's are dead sooner, and come back to a new broker")
    def _():
        with Network(bin_folder, pulse="200ms") as net:
            workers = [majordomo.Worker(net.endpoint, version, "loyal-" + version) for version in VERSIONS]

            def serve(client, worker):
                client.send(worker.service, b"x")

                def served():
                    request = worker.next(0.05)
                    if request:
                        worker.reply(request[0], *request[1])
                    return client.socket.poll(0)
                eventually(served, within=20, what="the worker has served")
                assert client.receive(worker.service) == ([], [b"x"])

            # Two heartbeats of 2.5 s, where a worker of waggle's own that is silent for 0.6 s is dead.
            for worker in workers:
                eventually(lambda w=worker: answers(net, w.service))
            beats = {worker: set() for worker in workers}

            def two_heartbeats():
                for worker in workers:
                    worker.next(0.01)
                    beats[worker].add(worker.heartbeat_at)
                return all(len(each) >= 3 for each in beats.values())
            eventually(two_heartbeats, within=20, what="two heartbeats")
            assert [worker.times_connected for worker in workers] == [1, 1]
            for version in VERSIONS:
                for worker in workers:
                    with majordomo.Client(net.endpoint, version) as client:
                        serve(client, worker)

            net.broker.stop(signal.SIGKILL)
            net.start("waggle-broker", "--commands", net.endpoint, "--events-in", ANY, "--events-out", ANY, "--pulse", "200ms")
            for worker in workers:
                def back(w=worker):
                    w.next(0.01)
                    return w.times_connected > 1
                eventually(back, within=20, what=f"{worker.service} is told to come again")
                with majordomo.Client(net.endpoint, worker.version) as client:
                    serve(client, worker)

    @test("majordomo: a client that reads late gets every reply, whole and in order")
    def _():
        with Network(bin_folder) as net:
            worker = majordomo.Worker(net.endpoint, "0.2", "patient")
            client = majordomo.Client(net.endpoint, "0.2")
            client.socket.close()
            client.socket = majordomo.connected(net.endpoint, rcvhwm=1, rcvbuf=4096)  # its pipe is full soon, and then the broker's
            bodies = [[b"%d" % number, b"", b"x" * 2000] for number in range(5000)]
            for body in bodies:
                client.send("patient", *body)
            served = 0
            while served < len(bodies):
                request = worker.next(1)
                if request:
                    worker.reply(request[0], *request[1])
                    served += 1
            for body in bodies:
                assert client.receive("patient") == ([], body)

    @test("majordomo: unexpected commands end in DISCONNECT, and nothing that several frames can say ends the broker")
    def _():
        with Network(bin_folder) as net:
            endpoint = net.endpoint
            old, new = [b"", b"MDPW01"], [b"MDPW02"]
            for version, head in (("0.1", old), ("0.2", new)):
                beat, final = majordomo.CODES[version]["HEARTBEAT"], majordomo.CODES[version]["FINAL"]
                for messages in (
                        [[*head, beat]],                                           # before READY
                        [[*head, final, b"1", b"", b"x"]],                         # a reply to nothing
                        [[*head, b"\1", b"s"], [*head, b"\1", b"s"]],              # READY twice
                        [[*head, b"\1", b"s"], [*head, b"\2", b"1", b"", b"x"]],   # REQUEST is the broker's
                        [[*head, b"\1", b"s"], [*head, b"\x09"]],                  # no such command
                        [[*head, b"\1", b"s"], [*head]],
                        [[*head, b"\1", b"s"], [b"\x91\x09"]],                     # WGL/1 on the same connection
                        [[*head, b"\1", b"mmi.service"]],
                        [[*head, b"\1", b"waggle.ping"]],
                        [[*head, b"\1", b"two words"]],
                        [[*head, b"\1"]]):
                    socket = majordomo.connected(endpoint)
                    for each in messages:
                        socket.send_multipart(each)
                    disconnected(socket, version)
                    socket.close()
            # A peer of WGL/1 that turns to Majordomo is garbled as well, and is told so under id 0.
            socket = majordomo.connected(endpoint)
            socket.send(msgpack.packb([0, 1, None]))
            assert socket.poll(10_000) and msgpack.unpackb(socket.recv())[:3] == [4, 1, 0]
            socket.send_multipart([b"MDPW02", b"\1", b"turned"])
            assert socket.poll(10_000) and msgpack.unpackb(socket.recv())[:3] == [4, 0, 3]
            assert not answers(net, "turned")
            socket.close()
            # A DEALER that sends whatever it likes.
            socket = majordomo.connected(endpoint)
            for frames in ([b""], [b"", b""], [b"", b"MDPC01"], [b"MDPC02", b"\1"], [b"MDPC02", b"\7", b"x"], [b"MDPC03", b"\1", b"s", b"x"],
                           [b"x"] * 5000, [b"\x90", b"\x90"], [b"MDPC02", b"\1", b"s"] + [b"x"] * 5000,
                           [b"MDPC02", b"\1", b"s", b"x" * 5_000_000], [b"MDPW02", b"\1", b"s", b"more"]):
                socket.send_multipart(frames)
                fresh = majordomo.connected(endpoint)
                fresh.send_multipart(frames)
                eventually(lambda: answers(net, "nobody") is False, what="the broker answers")
                fresh.close()
            socket.close()
            net.hello()
            assert net.broker.process.poll() is None and net.cli("ping", "--count", "1")[0] == 0
            with majordomo.Client(endpoint, "0.1") as client:
                assert client.call("mmi.service", b"hello.say") == [b"200"]
