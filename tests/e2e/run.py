#!/usr/bin/env python3
"""End-to-end tests: the programs as their users start them. usage: run.py BIN-FOLDER [NAME...]; ends with "N passed, N failed"."""
import json
import os
import pty
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench
import curve
import docs
import durable
import events
import http_events
import hybrid
import identity
import majordomo_tests
import msgpack
import operations
import replies
import routes
import shop
import telemetry
import tls
import traffic
from network import ANY, REPOSITORY, Network, Program, ToolsRun, eventually

BIN = os.path.abspath(sys.argv[1])
TESTS = []


def test(claim):
    def note(function):
        TESTS.append((claim, function))
        return function
    return note


def in_background(work):
    """Runs on a thread; the returned function waits for the result."""
    box = {}

    def run():
        try:
            box["got"] = work()
        except BaseException as e:  # for the test's own thread
            box["error"] = e
    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result(within=30.0):
        thread.join(within)
        assert not thread.is_alive(), "the background work did not end"
        if "error" in box:
            raise box["error"]
        return box["got"]
    return result


def readme_commands(follow=False):
    """The lines `command → what it prints` of the README; or those of commands that do not end by themselves."""
    with open(os.path.join(REPOSITORY, "README.md"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    return [tuple(part.strip() for part in line.split("→", 1)) for line in lines
            if "→" in line and line.startswith(("curl ", "build/bin/")) and (" sub " in line or " -N " in line) == follow]


def run_readme(net, command):
    command = command.replace("http://127.0.0.1:8800", net.http).replace("build/bin/", BIN + "/")
    got = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
                         env={**os.environ, "WAGGLE_BROKER": net.endpoint})
    return got.returncode, got.stdout, got.stderr


@test("README: every command prints what stands beside it")
def _():
    commands = readme_commands()
    assert len(commands) >= 4, commands
    with Network(BIN) as net:
        net.hello()
        compared = 0
        for command, wanted in commands:
            code, out, err = run_readme(net, command)
            assert code == 0, (command, out, err)
            if wanted.startswith("{") or wanted.startswith("kept"):
                assert out.strip() == wanted, (command, out, wanted)
                compared += 1
            else:
                for word in ("hello", "1.0.0", "hello.say", "GET /hello"):
                    assert word in out, (command, word, out)
        assert compared >= 3


@test("README: an event is kept, and seen by who comes later, in a terminal and over HTTP")
def _():
    lines = {command.split("'")[0]: command for command, _ in readme_commands(follow=True)}
    sub, curl = lines["build/bin/waggle sub "], lines["curl -N "]
    with Network(BIN, events="*") as net:
        code, out, err = net.cli("emit", "hello.greeted", '{"name":"Ada"}')
        assert code == 0 and out == "kept as events 1\n", (code, out, err)
        code, out, err = run_readme(net, sub + " --count 1")
        assert code == 0 and "hello.greeted" in out and '{"name":"Ada"}' in out, (code, out, err)
        code, out, err = run_readme(net, curl.replace("topic=hello.", "topic=hello.&last=1") + " --max-time 3")
        assert "event: hello.greeted" in out and '{"name":"Ada"}' in out, (code, out, err)


@test("tools/run: brings a network up, says what to try, and stops all of it within two seconds of SIGTERM")
def _():
    for how in (signal.SIGTERM, signal.SIGINT):
        with ToolsRun() as script:
            url = re.search(r"curl '([^']+)'", script.said).group(1)
            got = subprocess.run(["curl", "-s", url], capture_output=True, text=True, timeout=10).stdout
            assert got == '{"message":"hello Ada"}', got
            broker = re.search(r"broker tcp://127.0.0.1:(\d+)", script.said).group(1)
            before = time.monotonic()
            script.stop(how)
            took = time.monotonic() - before
            assert took < 2, f"{took} s after {how!r}"
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", int(broker))) != 0, "the broker still listens"


@test("tools/run: a port that is taken is named, with how to choose another")
def _():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        env = {k: v for k, v in os.environ.items() if not k.startswith("WAGGLE_")}
        env |= {"WAGGLE_COMMANDS": f"tcp://127.0.0.1:{port}", "WAGGLE_EVENTS_IN": ANY, "WAGGLE_EVENTS_OUT": ANY, "WAGGLE_HTTP": "127.0.0.1:0"}
        got = subprocess.run([os.path.join(REPOSITORY, "tools", "run")], capture_output=True, text=True, env=env, timeout=60)
        assert got.returncode == 1
        assert f"tcp://127.0.0.1:{port}" in got.stderr and "in use" in got.stderr and "WAGGLE_COMMANDS" in got.stderr, got.stderr
        env |= {"WAGGLE_COMMANDS": ANY, "WAGGLE_HTTP": f"127.0.0.1:{port}"}
        got = subprocess.run([os.path.join(REPOSITORY, "tools", "run")], capture_output=True, text=True, env=env, timeout=60)
        assert got.returncode == 1
        assert f"127.0.0.1:{port}" in got.stderr and "in use" in got.stderr and "WAGGLE_HTTP" in got.stderr, got.stderr


@test("programs: the environment does what the flags do")
def _():
    env = {"WAGGLE_COMMANDS": ANY, "WAGGLE_EVENTS_IN": ANY, "WAGGLE_EVENTS_OUT": ANY}
    with Program(os.path.join(BIN, "waggle-broker"), env=env) as broker:
        endpoint = broker.value("commands")
        with Program(os.path.join(BIN, "waggle-hello"), env={"WAGGLE_BROKER": endpoint, "WAGGLE_INSTANCE": "h1"}) as hello:
            assert hello.value("broker") == endpoint and hello.value("instance") == "h1"
        with Program(os.path.join(BIN, "waggle-gateway"), env={"WAGGLE_BROKER": endpoint, "WAGGLE_HTTP": "127.0.0.1:0"}) as gateway:
            assert gateway.value("broker") == endpoint
            assert gateway.stop() == 0
        assert broker.stop() == 0


@test("gateway: routes appear when a service joins and its calls end at once when it has left")
def _():
    with Network(BIN) as net:
        assert net.get("/hello?name=x")[0] == 404
        hello = net.hello()
        assert net.get("/hello?name=x")[2] == b'{"message":"hello x"}'
        assert hello.stop() == 0
        eventually(lambda: net.get("/hello?name=x")[0] == 404, what="the route is gone")


@test("gateway: a worker killed in the middle of a call ends it as 503 that may have run, within the detection time")
def _():
    with Network(BIN, pulse="200ms") as net:
        worker = net.python("tests/e2e/silent_worker.py")
        eventually(lambda: net.get("/silent?x=1", method="OPTIONS")[0] == 204, what="the route is there")
        answer = in_background(lambda: net.get("/silent"))
        eventually(lambda: "called" in worker.read(), what="the worker has the call")
        before = time.monotonic()
        worker.stop(signal.SIGKILL)
        status, headers, body = answer()
        assert status == 503, (status, body)
        problem = json.loads(body)
        assert problem["code"] == "UNAVAILABLE" and problem["may_have_run"] is True, problem
        assert headers["Content-Type"] == "application/problem+json"
        assert time.monotonic() - before < 3


@test("gateway: a service that crashed answers 503 until it is back, and a gateway without a broker answers 503 at once")
def _():
    with Network(BIN, pulse="200ms") as net:
        hello = net.hello()
        hello.stop(signal.SIGKILL)
        for _ in range(3):  # the first waits for another worker to come, the others know that none has
            status, headers, body = net.get("/hello?name=x")
            assert status == 503 and json.loads(body)["code"] == "UNAVAILABLE" and headers["Retry-After"], (status, body)
        net.start("waggle-hello", "--broker", net.endpoint)
        assert net.get("/hello?name=x")[0] == 200
        net.broker.stop(signal.SIGKILL)
        eventually(lambda: net.get("/readyz")[0] == 503)

        def at_once():
            before = time.monotonic()
            return net.get("/hello?name=x")[0] == 503 and time.monotonic() - before < 0.5
        eventually(at_once, what="a request without a broker answered at once")


@test("CLI: a worker frozen in the middle of a call ends it as UNAVAILABLE after the missed pulses")
def _():
    with Network(BIN, pulse="200ms") as net:
        worker = net.python("tests/e2e/silent_worker.py")
        answer = in_background(lambda: net.cli("call", "silent.wait", "{}", "--budget", "30s"))
        eventually(lambda: "called" in worker.read(), what="the worker has the call")
        worker.process.send_signal(signal.SIGSTOP)
        code, out, err = answer()
        assert code == 24, (code, out, err)
        assert "UNAVAILABLE" in err, err
        worker.process.send_signal(signal.SIGCONT)
        # Thawed, it learns that it has no seat.
        eventually(lambda: "silent-1" not in net.cli("ls")[1], what="the dead worker is out of the list")


@test("broker: a worker that dies is gone at once when its connection ends, idle or with a call at hand, however seldom it pulses")
def _():
    with Network(BIN, pulse="60s") as net:
        one, two = net.hello("--instance", "one"), net.hello("--instance", "two")
        worker = net.python("tests/e2e/silent_worker.py")
        eventually(lambda: all(each in net.cli("ls")[1] for each in ("one", "two", "silent-1")), what="all are listed")
        two.stop(signal.SIGKILL)
        eventually(lambda: "two" not in net.cli("ls")[1], what="the dead worker is out of the list")
        answer = in_background(lambda: net.cli("call", "silent.wait", "{}", "--budget", "50s"))
        eventually(lambda: "called" in worker.read(), what="the worker has the call")
        worker.stop(signal.SIGKILL)
        code, _, err = answer()
        assert code == 24 and "UNAVAILABLE" in err, (code, err)
        assert "one" in net.cli("ls")[1]


@test("broker: workers with nothing to do are hardly heard, and are found dead when they get a call and do not live")
def _():
    with Network(BIN, pulse="100ms", broker=("--idle-pulse", "300s")) as net:
        hello = net.hello("--instance", "idle")
        net.gateway.stop()  # it says HELLO as often as others pulse
        def frames():
            return json.loads(net.cli("stats", "--json")[1])["counters"]["frames"]
        before, since = frames(), time.monotonic()
        eventually(lambda: time.monotonic() - since > 2, what="two seconds have passed")
        assert frames() - before < 10, "a worker that rests pulses"  # 20 of its pulses otherwise
        hello.process.send_signal(signal.SIGSTOP)
        code, _, err = net.cli("call", "hello.say", '{"name":"x"}', "--budget", "30s")
        assert code == 24 and "UNAVAILABLE" in err, (code, err)
        eventually(lambda: "idle" not in net.cli("ls")[1], what="it is out of the list")
        hello.process.send_signal(signal.SIGCONT)
        eventually(lambda: net.cli("call", "hello.say", '{"name":"x"}', "--budget", "1s")[0] == 0, what="it is back")


@test("broker: one that is started again has the workers back that rest, as soon as they are connected, and callers know that they ask another")
def _():
    with tempfile.TemporaryDirectory() as folder:
        at = [f"ipc://{folder}/{name}" for name in ("commands", "in", "out")]
        flags = ["--commands", at[0], "--events-in", at[1], "--events-out", at[2], "--data", "none", "--pulse", "60s"]
        with Network(BIN) as net:
            net.endpoint = at[0]
            first = net.start("waggle-broker", *flags)
            gateway = net.start("waggle-gateway", "--http", "127.0.0.1:0", "--broker", at[0])
            net.http = "http://" + gateway.value("http")
            net.hello("--instance", "one")
            # Nothing else would tell that these are never answered: calls of the gateway that are under way when the broker dies.
            answers = [in_background(lambda: [net.get("/hello?name=Ada")[0] for _ in range(300)]) for _ in range(4)]
            first.stop(signal.SIGKILL)
            net.start("waggle-broker", *flags)
            for each in answers:
                assert set(each()) == {200}, each()
            assert "one" in net.cli("ls")[1]


@test("broker: killed and started again, everything finds it and goes on")
def _():
    with tempfile.TemporaryDirectory() as folder:
        at = [f"ipc://{folder}/{name}" for name in ("commands", "in", "out")]
        flags = ["--commands", at[0], "--events-in", at[1], "--events-out", at[2], "--pulse", "100ms"]
        with Network(BIN) as net:
            first = net.start("waggle-broker", *flags)
            gateway = net.start("waggle-gateway", "--http", "127.0.0.1:0", "--broker", at[0])
            net.start("waggle-hello", "--broker", at[0])
            net.http = "http://" + gateway.value("http")
            eventually(lambda: net.get("/hello?name=x")[0] == 200)
            first.stop(signal.SIGKILL)
            eventually(lambda: net.get("/readyz")[0] == 503, what="the gateway says that it is not ready")
            assert net.get("/livez")[0] == 200
            net.start("waggle-broker", *flags)
            eventually(lambda: net.get("/hello?name=x")[0] == 200, what="calls are answered again")
            eventually(lambda: net.get("/readyz")[0] == 200, what="each of the gateway's threads has found the broker")


@test("gateway: JSON in and out, msgpack when asked, and errors as problem+json")
def _():
    with Network(BIN) as net:
        net.hello()
        net.python("services/echo-py/echo.py")
        eventually(lambda: net.get("/echo", "OPTIONS")[0] == 204)
        status, headers, body = net.get("/echo", "POST", b'{"a":[1,2.5,"x",null,true]}', {"Content-Type": "application/json"})
        assert status == 200 and json.loads(body) == {"a": [1, 2.5, "x", None, True]}, (status, body)
        large = ["x" * 1000] * 300  # attached on its way to the broker, and not to a worker that takes no attachments
        status, headers, body = net.get("/echo", "POST", json.dumps(large).encode(), {"Content-Type": "application/json"})
        assert status == 200 and json.loads(body) == large, (status, body[:100])
        packed = msgpack.packb({"a": b"bytes"})
        status, headers, body = net.get("/echo", "POST", packed, {"Content-Type": "application/vnd.msgpack", "Accept": "application/vnd.msgpack"})
        assert status == 200 and headers["Content-Type"] == "application/vnd.msgpack" and msgpack.unpackb(body) == {"a": b"bytes"}
        for body, headers, wanted in ((b'{"a":1,"a":2}', {"Content-Type": "application/json"}, 400),
                                      (b"{", {"Content-Type": "application/json"}, 400),
                                      (b"<a/>", {"Content-Type": "application/xml"}, 415)):
            status, got, text = net.get("/echo", "POST", body, headers)
            assert status == wanted and got["Content-Type"] == "application/problem+json", (body, status, text)
            assert json.loads(text)["status"] == wanted
        status, got, _text = net.get("/hello", "DELETE")
        assert status == 405 and "GET" in got["Allow"], (status, got)


@test("gateway: a YAML route renames a parameter and wins; what is wrong with a file is said with its line")
def _():
    with tempfile.TemporaryDirectory() as folder:
        good, bad = os.path.join(folder, "good.yaml"), os.path.join(folder, "bad.yaml")
        with open(good, "w") as file:
            file.write("routes:\n  - route: GET /hi/{who}\n    call: hello.say\n    fields:\n      name: path.who\n")
        with open(bad, "w") as file:
            file.write("routes:\n  - route: GET /hi/{who}\n    call: hello.say\n    fields:\n      name: path.whom\n")
        with Network(BIN, routes=good) as net:
            net.hello()
            status, _headers, body = net.get("/hi/B%C3%B6b")
            assert status == 200 and json.loads(body) == {"message": "hello Böb"}, (status, body)
            got = subprocess.run([os.path.join(BIN, "waggle-gateway"), "--http", "127.0.0.1:0", "--routes", bad], capture_output=True,
                                 text=True, timeout=10)
            assert got.returncode == 1 and f"{bad}:5:" in got.stderr and "whom" in got.stderr, got.stderr


@test("gateway: the OpenAPI document lists the live routes")
def _():
    with Network(BIN) as net:
        net.hello()
        document = json.loads(net.get("/openapi.json")[2])
        assert document["openapi"].startswith("3.1")
        operation = document["paths"]["/hello"]["get"]
        assert operation["parameters"][0]["name"] == "name" and operation["parameters"][0]["required"]


@test("gateway: SIGTERM lets the open request finish and then ends it")
def _():
    with Network(BIN, pulse="200ms") as net:
        worker = net.python("tests/e2e/silent_worker.py")
        eventually(lambda: net.get("/silent", method="OPTIONS")[0] == 204)
        answer = in_background(lambda: net.get("/silent"))
        eventually(lambda: "called" in worker.read())
        net.gateway.process.send_signal(signal.SIGTERM)
        worker.stop(signal.SIGKILL)
        assert answer()[0] == 503
        assert net.gateway.process.wait(10) == 0


@test("Python worker: answers, streams, joins again after a broker's restart, and leaves on SIGTERM")
def _():
    with tempfile.TemporaryDirectory() as folder:
        at = [f"ipc://{folder}/{name}" for name in ("commands", "in", "out")]
        flags = ["--commands", at[0], "--events-in", at[1], "--events-out", at[2], "--pulse", "100ms"]
        with Network(BIN) as net:
            net.endpoint = at[0]
            broker = net.start("waggle-broker", *flags)
            worker = net.python("services/echo-py/echo.py")
            code, out, err = net.cli("call", "echo.say", '{"text":"hi"}')
            assert code == 0 and json.loads(out) == {"text": "hi"}, (code, out, err)
            code, out, err = net.cli("call", "echo.count", '{"to":3}')
            assert code == 0 and out.split()[:3] == ["1", "2", "3"], (code, out, err)
            code, out, err = net.cli("call", "echo.count", '{"to":2000}')  # more than it gets credit for at once
            assert code == 0 and out.split()[:2000] == [str(i) for i in range(1, 2001)], (code, out[-200:], err)
            broker.stop(signal.SIGKILL)
            net.start("waggle-broker", *flags)
            eventually(lambda: net.cli("call", "echo.say", '"again"', "--budget", "1s")[0] == 0, within=20)
            assert worker.stop() == 0, worker.log()


@test("restart: requests of safe commands outlive a broker that is killed, and so does an idempotent call")
def _():
    with tempfile.TemporaryDirectory() as folder:
        at = [f"ipc://{folder}/{name}" for name in ("commands", "in", "out")]
        flags = ["--commands", at[0], "--events-in", at[1], "--events-out", at[2], "--pulse", "100ms"]
        with Network(BIN) as net:
            net.endpoint = at[0]
            broker = net.start("waggle-broker", *flags)
            gateway = net.start("waggle-gateway", "--http", "127.0.0.1:0", "--broker", at[0])
            net.http = "http://" + gateway.value("http")
            net.hello()
            answers = [in_background(lambda: [net.get("/hello?name=Ada")[0] for _ in range(300)]) for _ in range(4)]
            broker.stop(signal.SIGKILL)
            call = in_background(lambda: net.cli("call", "hello.say", '{"name":"Ada"}', "--idempotent", "--budget", "10s"))
            net.start("waggle-broker", *flags)
            assert call()[0] == 0, call()
            for each in answers:
                assert set(each()) == {200}, each()


@test("CLI: exit codes say how a call ended, and errors go to standard error")
def _():
    with Network(BIN, pulse="200ms") as net:
        net.hello()
        # A broker that has just started says "unavailable" of what it does not know yet.
        eventually(lambda: net.cli("call", "no.such", "{}")[0] == 22, what="the broker's first moments are over")
        for arguments, wanted in ((["call", "hello.say", '{"name":"Ada"}'], 0), (["call", "hello.say", "{}"], 13),
                                  (["call", "no.such", "{}"], 22), (["call", "hello.say", "{"], 2), (["call"], 2),
                                  (["frobnicate"], 2), (["sub", "--count", "0"], 2), (["sub", "--count", "-1"], 2),
                                  (["call", "hello.say", "{}", "--budget", "2d"], 2), (["ping", "--count", "2"], 0), (["version"], 0),
                                  (["describe", "hello.say"], 0), (["describe", "no.such"], 22)):
            code, out, err = net.cli(*arguments)
            if arguments[0] == "describe" and wanted:
                assert code != 0, (arguments, code, out, err)
            else:
                assert code == wanted, (arguments, code, wanted, out, err)
            assert (out == "") == (code != 0) and (code == 0 or err != ""), (arguments, out, err)
        code, out, err = net.cli("call", "hello.say", stdin='{"name":"Pipe"}')
        assert code == 0 and json.loads(out)["message"] == "hello Pipe", (code, out, err)
        code, out, err = net.cli("call", "hello.say", "{}", env={"WAGGLE_BROKER": "tcp://127.0.0.1:1"})
        assert code == 24, (code, out, err)


@test("CLI: raw sends what it is told and shows what comes back")
def _():
    with Network(BIN) as net:
        net.hello()
        code, out, err = net.cli("raw", '[1,7,"hello.say",{"name":"Ada"},1000,null]')
        assert code == 0 and "hello Ada" in out, (code, out, err)
        code, out, err = net.cli("raw", "--hex", "c1")
        assert "INVALID_ARGUMENT" in out or "expected an array" in out, (code, out, err)


@test("CLI: completion scripts are accepted by their shells")
def _():
    for shell in ("bash", "zsh", "fish"):
        got = subprocess.run([os.path.join(BIN, "waggle"), "completion", shell], capture_output=True, text=True, timeout=10)
        assert got.returncode == 0 and "call" in got.stdout, (shell, got)
        if shell == "bash":
            assert subprocess.run(["bash", "-n"], input=got.stdout, text=True).returncode == 0


def completed(line, **env):
    """The arguments on a line of an interactive bash after keys typed into it, a tab among them."""
    pid, terminal = pty.fork()
    if pid == 0:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("WAGGLE_", "COMP_"))}
        try:
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"],
                       {**clean, "TERM": "dumb", "PATH": "/usr/bin:/bin", "INPUTRC": "/dev/null", "HISTFILE": "", **env})
        finally:
            os._exit(127)
    seen = ""

    def comes(pattern):
        nonlocal seen
        if select.select([terminal], [], [], 0)[0]:
            seen += os.read(terminal, 65536).decode(errors="replace").replace("\r", "")
        return re.search(pattern, seen)
    try:
        # Quotes within the words that are waited for: the terminal's echo is not their output. One write, so that bash takes
        # what follows the tab when it has completed.
        os.write(terminal, f"source <({shlex.quote(BIN)}/waggle completion bash); stty cols 1000; echo rea''dy\r".encode())
        eventually(lambda: comes("ready"), what="bash is ready")
        os.write(terminal, f"{line}\x01printf '<%s>' \x05; echo END''ED\r".encode())
        found = eventually(lambda: comes("\n((?:<[^\n]*>)?)ENDED"), what=f"{line!r} ends")
        return found.group(1)[1:-1].split("><")[1:]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


@test("CLI: bash completes commands, flags and files behind words with : @ and =")
def _():
    with Network(BIN) as net, tempfile.TemporaryDirectory() as folder:
        net.hello()
        with open(os.path.join(folder, "two words.json"), "w", encoding="utf-8"):
            pass
        at, waggle = net.endpoint, BIN + "/waggle"
        for typed, wanted in (
                (f"--broker {at} call hel\t", ["--broker", at, "call", "hello.say"]),
                (f"--broker={at} call hel\t", [f"--broker={at}", "call", "hello.say"]),
                (f"call --key k --broker {at} hel\t", ["call", "--key", "k", "--broker", at, "hello.say"]),
                (f"call x @{folder}/two\t", ["call", "x", f"@{folder}/two words.json"]),
                (f"call x @{folder}/two\\ w\t", ["call", "x", f"@{folder}/two words.json"]),
                ("--output=ta\t", ["--output=table"]),
                ("ping --\x1b*", ["ping", "--broker", "--broker-key", "--budget", "--count", "--help", "--interval", "--json", "--key-file", "--output"]),
                ("emit --c\t", ["emit", "--c"])):  # --count is a flag of others
            got = completed(f"{waggle} {typed}")
            assert got == wanted, (typed, got, wanted)
        assert completed(f"{waggle} call hel\t", WAGGLE_BROKER=at) == ["call", "hello.say"]


operations.define(test, BIN, in_background, completed)
bench.define(test, BIN, completed)
events.define(test, BIN, in_background, completed)
majordomo_tests.add(test, BIN)
hybrid.define(test, BIN, in_background)
shop.define(test, BIN, in_background)
routes.define(test, BIN)
durable.define(test, BIN)
http_events.define(test, BIN)
identity.define(test, BIN)
replies.define(test, BIN)
docs.define(test, BIN)
telemetry.define(test, BIN)
curve.define(test, BIN)
tls.define(test, BIN)
traffic.define(test, BIN, in_background)


def main():
    wanted = sys.argv[2:]
    passed = failed = 0
    for claim, function in TESTS:
        if wanted and not any(each in claim for each in wanted):
            continue
        try:
            function()
            passed += 1
            print(f"ok      {claim}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {claim}\n{traceback.format_exc()}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
