"""A network with keys: peers of pyzmq with the right key, a wrong one and none; what roles refuse; keygen; the loopback rule."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import msgpack
import zmq
import zmq.auth

from network import ANY, REPOSITORY, Program, eventually

CALL, REPLY, EMIT, EVENT, JOIN = 1, 4, 5, 6, 7
DENIED = 7
ROLES = """
roles:
  shop: { serve: ["order.*"], call: ["stock.*"], publish: ["order.*"], subscribe: ["payment.*", "order.*"] }
  clerk: { call: ["order.*"] }
  gateway: { call: ["*"], publish: ["*"], claims: true, subscribe: ["*"] }
  operator: { call: ["*", "waggle.*"], publish: ["*"], subscribe: ["*"] }
peers:
"""


class Peer:
    """A DEALER that sends frames and waits for the reply to one."""

    def __init__(self, connect, endpoint):
        self.socket = connect(zmq.DEALER, endpoint)
        self.id = 0

    def ask(self, kind, *fields, within=5000):
        """Status, and what the payload says; nothing if no reply comes, or if nobody is there: libzmq drops the connection whose handshake was refused."""
        self.id += 1
        try:
            self.socket.send(msgpack.packb([kind, self.id, *fields]))
        except zmq.Again:
            return None
        return self.reply_to(self.id, within)

    def reply_to(self, wanted, within=5000):
        give_up = time.monotonic() + within / 1000
        while self.socket.poll(max(0, int(1000 * (give_up - time.monotonic())))):
            unpacker = msgpack.Unpacker(strict_map_key=False)
            unpacker.feed(self.socket.recv())
            for frame in unpacker:
                if frame[0] == REPLY and frame[1] == wanted:
                    return frame[2], msgpack.unpackb(frame[3], strict_map_key=False) if frame[3] else None
        return None

    def call(self, command, payload=None, headers=None, **more):
        return self.ask(CALL, command, None if payload is None else msgpack.packb(payload), 5000, headers, **more)

    def emit(self, topic, headers=None):
        return self.ask(EMIT, topic, msgpack.packb(1), headers)

    def join(self, service, commands=(), events=()):
        return self.ask(JOIN, {"service": service, "commands": [{"name": each} for each in commands], "events": list(events)})


def define(test, bin_folder):
    def waggle(*arguments, env=None, within=30):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WAGGLE_")}
        got = subprocess.run([os.path.join(bin_folder, "waggle"), *arguments], capture_output=True, text=True, timeout=within, stdin=subprocess.DEVNULL,
                             env={**clean, **(env or {})})
        return got.returncode, got.stdout, got.stderr

    class Keyed:
        """A broker with keys, and peers of pyzmq that have some."""

        def __init__(self, *peers, roles=ROLES):
            self.folder = tempfile.mkdtemp(prefix="waggle-")
            self.context = zmq.Context()
            self.started, self.keys = [], {}
            self.roles = roles
            try:
                for name in ("broker", "stranger", *(name for name, _ in peers)):
                    self.make_key(name)
                self.write_peers(peers)
                self.broker = self.start("waggle-broker", "--key-file", self.file("broker.key"), "--peers", self.file("peers.yaml"), "--commands", ANY,
                                         "--events-in", ANY, "--events-out", ANY, "--data", self.file("data"))
                self.endpoint = self.broker.value("commands")
            except BaseException:
                self.__exit__()
                raise

        def file(self, name):
            return os.path.join(self.folder, name)

        def make_key(self, name):
            code, _, err = waggle("keygen", name, "--out", self.folder)
            assert code == 0, err
            self.keys[name] = zmq.auth.load_certificate(self.file(name + ".key"))

        def write_peers(self, peers):
            """All at once, as an editor does it."""
            with open(self.file("peers.new"), "w", encoding="ascii") as file:
                file.write(self.roles)
                for name, role in peers:
                    file.write(f'  - {{ name: {name}, role: {role}, key: "{self.keys[name][0].decode()}" }}\n')
            os.rename(self.file("peers.new"), self.file("peers.yaml"))

        def start(self, program, *arguments, env=None):
            self.started.append(Program(program if os.sep in program else os.path.join(bin_folder, program), *arguments, env=env))
            return self.started[-1]

        def environment(self, name):
            return {"WAGGLE_BROKER": self.endpoint, "WAGGLE_KEY": self.file(name + ".key"), "WAGGLE_BROKER_KEY": self.file("broker.pub")}

        def connector(self, name, server="broker"):
            def connect(kind, endpoint, prepare=lambda _: None):
                made = self.context.socket(kind)
                made.linger = 0
                if name:
                    made.curve_publickey, made.curve_secretkey = self.keys[name]
                    made.curve_serverkey = self.keys[server][0]
                prepare(made)
                made.connect(endpoint)
                return made
            return connect

        def peer(self, name, server="broker"):
            return Peer(self.connector(name, server), self.endpoint)

        def welcome(self, name):
            status, welcome = self.peer(name).ask(0, {})
            assert status == 0
            return welcome

        def subscribe(self, name, prefix, endpoint=None):
            return self.connector(name)(zmq.SUB, endpoint or self.welcome(name)["events_out"], lambda made: made.subscribe(prefix))

        def counter(self, name):
            code, out, err = waggle("stats", "--json", env=self.environment("ops"))
            assert code == 0, err
            return json.loads(out)["counters"][name]

        def __enter__(self):
            return self

        def __exit__(self, *_):
            for each in reversed(self.started):
                each.__exit__()
            self.context.destroy(0)
            shutil.rmtree(self.folder)

    PEERS = ("shop-1", "shop"), ("clerk-1", "clerk"), ("gateway-1", "gateway"), ("ops", "operator")

    @test("curve: a peer with an unknown key, one that takes the broker for another, and one without get nothing, and the log says why")
    def _():
        with Keyed(*PEERS) as net:
            refused = [net.peer("stranger"), net.peer("ops", server="stranger"), net.peer(None)]
            for each in refused:
                each.socket.setsockopt(zmq.SNDTIMEO, 0)
                assert each.call("waggle.ping", 1, within=300) is None
            assert net.peer("ops").call("waggle.ping", 1) == (0, 1)
            key = net.keys["stranger"][0].decode()
            eventually(lambda: f"commands: the key {key} from 127.0.0.1 is refused: it is none of the peers'" in net.broker.log(), what="the refusal is logged")
            eventually(lambda: "failed before it had a key to show" in net.broker.log(), what="the failure is logged")
            for each in net.keys.values():
                assert each[1].decode() not in net.broker.log()

    @test("curve: what a role does not allow is refused with its name: to serve, to call, to publish, to handle, to speak for others")
    def _():
        with Keyed(*PEERS) as net:
            def denied(got, *words):
                assert got is not None and got[0] == DENIED and got[1]["code"] == "PERMISSION_DENIED" and not got[1]["may_have_run"], got
                assert all(word in got[1]["message"] for word in words), got
            shop, clerk, gateway, ops = net.peer("shop-1"), net.peer("clerk-1"), net.peer("gateway-1"), net.peer("ops")
            denied(shop.join("shop", ["order.place", "payment.take"]), '"shop"', 'serve "payment.take"')
            assert shop.call("waggle.services")[1]["services"] == []
            denied(shop.join("shop", [], [{"topic": "*"}]), '"shop"', '"*"')
            assert shop.join("shop", ["order.place"], [{"topic": "payment.*"}])[0] == 0
            denied(clerk.join("clerk", ["order.place"]), '"clerk"', 'serve "order.place"')
            denied(clerk.call("stock.reserve"), '"clerk"', 'call "stock.reserve"')
            denied(clerk.call("stock.reserve", headers={"later": "1000"}), '"clerk"', 'call "stock.reserve"')
            for command in "waggle.drain", "waggle.pause", "waggle.dead", "waggle.forget_group", "waggle.retry_dead", "waggle.stats", "waggle.calls":
                denied(gateway.call(command), '"gateway"', command)
            assert ops.call("waggle.stats")[0] == 0
            denied(clerk.call("order.place", headers={"claims": '{"sub":"root"}'}), '"clerk"', "claims")
            denied(clerk.call("order.place", headers={"claims": 7}), '"clerk"', "claims")
            denied(ops.emit("order.placed", {"claims": "{}"}), '"operator"', "claims")
            denied(gateway.call("order.place", headers={"operation": "1"}), "operation")
            denied(shop.emit("stock.changed"), '"shop"', 'publish "stock.changed"')
            assert shop.emit("order.placed")[0] == 0
            denied(clerk.call("waggle.events", {"stream": "events", "from": 0}), '"clerk"')
            denied(shop.call("waggle.streams", {"prefixes": ["stock."]}), '"shop"', "stock.")
            # The gateway's word is taken, and reaches the worker.
            gateway.socket.send(msgpack.packb([CALL, 99, "order.place", None, 5000, {"claims": '{"sub":"ada"}'}]))
            lease = eventually(lambda: shop.socket.poll(0) and (frame := msgpack.unpackb(shop.socket.recv()))[0] == CALL and frame)
            assert lease[5] == {"claims": '{"sub":"ada"}'}, lease
            eventually(lambda: net.counter("denied") >= 17, what="the refusals are counted")
            assert 'shop-1: the role "shop" may not serve "payment.take"' in net.broker.log()

    @test("curve: who takes the routing id of a peer that has gone is not taken for it")
    def _():
        with Keyed(*PEERS) as net:
            def named(name):
                return Peer(lambda kind, endpoint: net.connector(name)(kind, endpoint, lambda made: made.setsockopt(zmq.ROUTING_ID, b"same")), net.endpoint)
            ops = named("ops")
            assert ops.call("waggle.stats")[0] == 0
            ops.socket.close()

            def answer_of_another():
                """A ROUTER leaves a newcomer mute for good as long as it has not missed the one before: each time it is another connection."""
                clerk = named("clerk-1")
                try:
                    return clerk.call("waggle.stats", within=500)
                finally:
                    clerk.socket.close()
            got = eventually(answer_of_another, what="an answer")
            assert got[0] == DENIED, got

    @test("curve: events reach those whose roles may see them, whatever they subscribe to, and come from those who may publish them")
    def _():
        with Keyed(*PEERS) as net:
            shop, ops = net.subscribe("shop-1", b""), net.subscribe("ops", b"")
            assert net.welcome("clerk-1")["events_out"] == ""
            assert net.welcome("gateway-1")["events_out"] == net.welcome("ops")["events_out"] != net.welcome("shop-1")["events_out"]
            events_in = net.welcome("ops")["events_in"]

            def publisher(name):
                made = net.connector(name)(zmq.XPUB, events_in)
                assert made.poll(5000) and made.recv() == b"\1"
                return lambda topic, headers=None: made.send_multipart([topic.encode(), msgpack.packb([EVENT, 0, topic, msgpack.packb(1), headers])])
            of_shop, of_ops = publisher("shop-1"), publisher("ops")

            def until(socket, topic):
                """The topics that come before that one."""
                seen = []
                while not seen or seen[-1] != topic:
                    assert socket.poll(5000), seen
                    seen.append(socket.recv_multipart()[0].decode())
                return seen[:-1]
            # Nothing is subscribed to before it is: until the first has arrived at both, it is sent again and again.
            for socket in shop, ops:
                eventually(lambda: of_ops("order.begin") or socket.poll(20), what="the subscription is in force")
            of_ops("stock.secret")
            of_shop("stock.forged")
            of_ops("order.forged", {"claims": "{}"})
            of_shop("order.end")
            of_ops("order.last")
            for socket, wanted in (shop, []), (ops, ["stock.secret"]):
                seen = set(until(socket, "order.last"))
                seen.update(until(socket, "order.end") if "order.end" not in seen else [])
                assert seen - {"order.begin", "order.end"} == set(wanted), seen
            eventually(lambda: net.counter("denied") >= 2, what="what may not be published is counted")
            # Where others subscribe it is not let in.
            elsewhere = net.subscribe("shop-1", b"", net.welcome("ops")["events_out"])
            of_ops("stock.secret")
            assert ops.poll(5000) and not elsewhere.poll(300)
            assert "its role subscribes at another endpoint" in net.broker.log()

    @test("curve: a key that is taken from the file loses everything at once, and a role that changes is judged anew")
    def _():
        with Keyed(*PEERS) as net:
            shop, clerk, ops = net.peer("shop-1"), net.peer("clerk-1"), net.subscribe("ops", b"order.")
            assert shop.join("shop", ["order.place"])[0] == 0
            assert clerk.call("waggle.ping", 1) == (0, 1)
            eventually(lambda: net.peer("gateway-1").emit("order.placed") and ops.poll(20), what="the subscription is in force")

            with open(net.file("peers.yaml"), "a", encoding="ascii") as file:
                file.write("  - { name: broken }\n")
            eventually(lambda: "goes on with the peers it had" in net.broker.log(), what="a file with mistakes changes nothing")
            assert re.search(r"peers\.yaml:\d+: the peer has no role", net.broker.log())
            assert clerk.call("waggle.ping", 2) == (0, 2)

            net.roles = ROLES.replace('serve: ["order.*"]', 'serve: ["stock.*"]')
            net.write_peers([("shop-1", "shop"), ("gateway-1", "gateway")])
            net.broker.process.send_signal(signal.SIGHUP)
            assert clerk.reply_to(0)[1]["message"] == "its key is not one of the network any more"
            assert 'may not serve "order.place" any more' in shop.reply_to(0)[1]["message"]
            assert clerk.call("waggle.ping", 3, within=300) is None
            assert shop.join("shop", ["order.place"])[0] == DENIED
            assert net.peer("gateway-1").call("waggle.services")[1]["services"] == [] or \
                net.peer("gateway-1").call("waggle.services")[1]["services"][0]["instances"] == []
            assert net.peer("clerk-1").call("waggle.ping", 1, within=300) is None
            while ops.poll(100):
                ops.recv_multipart()
            assert net.peer("gateway-1").emit("order.placed") is not None
            assert not ops.poll(500), "a subscriber whose key has gone still gets events"

    @test("curve: services, gateway and CLI work with keys as without, and say what is missing")
    def _():
        with Keyed(("hello", "hello"), ("gw", "gateway"), ("ops", "operator"),
                   roles=ROLES.replace("roles:", 'roles:\n  hello: { serve: ["hello.*", "echo.*"] }')) as net:
            net.start("waggle-hello", env=net.environment("hello"))
            net.start("/usr/bin/python3", os.path.join(REPOSITORY, "services/echo-py/echo.py"), env=net.environment("hello"))
            gateway = net.start("waggle-gateway", "--http", "127.0.0.1:0", "--events", "*", env=net.environment("gw"))

            def got():
                return subprocess.run(["curl", "-s", f"http://{gateway.value('http')}/hello?name=Ada"], capture_output=True, text=True, timeout=10).stdout
            eventually(lambda: got() == '{"message":"hello Ada"}', what="the route is served")
            ops = net.environment("ops")
            assert waggle("call", "hello.say", '{"name":"Ada"}', env=ops)[:2] == (0, '{"message":"hello Ada"}\n')
            assert waggle("call", "echo.say", '{"name":"Ada"}', env=ops)[:2] == (0, '{"name":"Ada"}\n')
            code, _, err = waggle("pause", "hello.say", env=net.environment("gw"))
            assert code == 17 and 'may not call "waggle.pause"' in err, (code, err)
            code, _, err = waggle("sub", env=net.environment("hello"))
            assert code == 17 and "may not subscribe" in err, (code, err)
            for missing, said in ("WAGGLE_KEY", "--key-file"), ("WAGGLE_BROKER_KEY", "--broker-key"):
                code, _, err = waggle("ls", env={**ops, missing: ""})
                assert code == 2 and said in err, (code, err)
            code, _, err = waggle("--budget", "500ms", "ls", env={**ops, "WAGGLE_BROKER_KEY": net.file("ops.pub")})
            assert code in (14, 24) and "another key" in err, (code, err)
            os.chmod(net.file("ops.key"), 0o644)
            code, _, err = waggle("ls", env=ops)
            assert code == 2 and "chmod 600" in err, (code, err)

    @test("curve: garbage and connections that never finish their handshake do not keep others out")
    def _():
        with Keyed(*PEERS) as net:
            port = int(net.endpoint.rsplit(":", 1)[1])
            silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
            for number, each in enumerate(silent):
                if number % 2:
                    each.sendall(os.urandom(1000) if number % 4 == 1 else b"GET / HTTP/1.1\r\n\r\n")
            assert net.peer("ops").call("waggle.ping", 1) == (0, 1)
            for each in silent:
                each.close()

    @test("curve: keygen writes a pair once, for its owner's eyes, that pyzmq reads")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            code, out, _ = waggle("keygen", "shop-1", "--out", folder)
            assert code == 0
            public, secret = zmq.auth.load_certificate(f"{folder}/shop-1.key")
            assert zmq.curve_public(secret) == public and public.decode() in out and secret.decode() not in out
            assert zmq.auth.load_certificate(f"{folder}/shop-1.pub") == (public, None)
            assert os.stat(f"{folder}/shop-1.key").st_mode & 0o777 == 0o600
            code, _, err = waggle("keygen", "shop-1", "--out", folder)
            assert code == 16 and "is not overwritten" in err, (code, err)
            assert zmq.auth.load_certificate(f"{folder}/shop-1.key") == (public, secret)
            code, out, _ = waggle("keygen", "ops", "--out", folder, "--json")
            assert json.loads(out)["key_file"] == f"{folder}/ops.key"
            assert waggle("keygen", "../x", "--out", folder)[0] == 2

    @test("curve: without a key the broker binds to this machine only, unless told otherwise")
    def _():
        broker = os.path.join(bin_folder, "waggle-broker")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WAGGLE_")}
        here = {"--commands": ANY, "--events-in": ANY, "--events-out": ANY}
        for which in here:
            for endpoint in "tcp://*:*", "tcp://0.0.0.0:*", "tcp://[::]:*":
                flags = [word for pair in {**here, which: endpoint}.items() for word in pair]
                got = subprocess.run([broker, "--data", "none", *flags], capture_output=True, text=True, timeout=10, env=clean)
                assert got.returncode == 2 and endpoint in got.stderr and "--insecure" in got.stderr, (endpoint, got)
        with Program(broker, *(word for pair in {**here, "--commands": "tcp://*:*"}.items() for word in pair), "--insecure") as opened:
            assert "is open: whoever reaches it may do everything" in opened.log()
        got = subprocess.run([broker, "--data", "none", "--peers", "peers.yaml"], capture_output=True, text=True, timeout=10, env=clean)
        assert got.returncode == 2 and "--key-file" in got.stderr
