"""End-to-end tests of route files: read again while the gateway runs, checked and explained by the CLI, and a gateway that ends."""
import json
import os
import signal
import subprocess
import tempfile
import threading

from network import Network, eventually

GREETING = """
routes:
  - route: GET /hi/{who}
    call: hello.say
    fields: { name: path.who }
"""
OTHER = """
routes:
  - route: GET /greet/{who}
    steps:
      first: { call: hello.say, fields: { name: path.who } }
      second: { call: hello.say, fields: { name: step.first.message } }
    reply: { said: step.second.message }
    then:
      told: { emit: hello.said, fields: step.second }
"""


def define(test, bin_folder):
    """Adds the tests to run.py's."""

    def write(folder, name, text):
        # As editors do: a new file in the place of the old one.
        with open(os.path.join(folder, name + ".new"), "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(os.path.join(folder, name + ".new"), os.path.join(folder, name))

    @test("routes: files are read again when they change, all or nothing, and no request notices")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            write(folder, "a.yaml", GREETING)
            with Network(bin_folder, routes=folder) as net:
                net.hello()
                assert net.get("/hi/Ada")[2] == b'{"message":"hello Ada"}'
                statuses, go_on = [], threading.Event()

                def ask():
                    while not go_on.is_set():
                        statuses.append(net.get("/hello?name=x")[0])
                asking = threading.Thread(target=ask)
                asking.start()
                write(folder, "a.yaml", OTHER)
                eventually(lambda: net.get("/greet/Ada")[0] == 200, what="the new route is there")
                assert net.get("/greet/Ada")[2] == b'{"said":"hello hello Ada"}'
                assert net.get("/hi/Ada")[0] == 404
                write(folder, "b.yaml", "routes:\n  - route: GET /b\n    cal: hello.say\n")
                eventually(lambda: "goes on with the routes it had" in net.gateway.log(), what="the bad file is told of")
                assert f'{folder}/b.yaml:3: the key "cal" is not known' in net.gateway.log(), net.gateway.log()
                assert net.get("/greet/Ada")[0] == 200
                os.remove(os.path.join(folder, "b.yaml"))
                eventually(lambda: net.gateway.log().count("took 1 route from ") == 2, what="the mended folder is taken")
                net.gateway.process.send_signal(signal.SIGHUP)
                eventually(lambda: net.gateway.log().count("took 1 route from ") == 3, what="SIGHUP reads them, too")
                go_on.set()
                asking.join()
                assert set(statuses) == {200} and len(statuses) > 10, set(statuses)

    @test("routes: --check and `waggle routes check` name every mistake, with its line and what to write instead")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            bad = os.path.join(folder, "bad.yaml")
            write(folder, "bad.yaml", GREETING + "  - route: GET /hi/{name}\n    call: hello.say\n"
                  "  - route: GET /x\n    steps: { a: { call: a.b, fields: { x: step.b } }, b: { call: a.b, fields: { x: step.a } } }\n"
                  "    reply: step.a\n"
                  "  - route: GET /y\n    call: hello.say\n    budget: soon\n    reply: { jq: '.step.call |' }\n")
            for command in (["waggle-gateway", "--check", "--routes", bad], ["waggle", "routes", "check", bad]):
                got = subprocess.run([os.path.join(bin_folder, command[0]), *command[1:]], capture_output=True, text=True, timeout=20)
                assert got.returncode == 1, got
                said = got.stdout + got.stderr
                for each in (f"{bad}:6: GET /hi/{{name}} takes the same requests as the route at {bad}:3", f"{bad}:9: these steps wait for each other: a → b → a",
                             f'{bad}:13: "soon" is no budget', f"{bad}:14: jq does not take this program"):
                    assert each in said, (each, said)
            write(folder, "good.yaml", OTHER)
            good = subprocess.run([os.path.join(bin_folder, "waggle"), "routes", "check", os.path.join(folder, "good.yaml")],
                                  capture_output=True, text=True, timeout=20)
            assert good.returncode == 0, good

    @test("routes: `waggle routes ls` and `explain` show what a request would come to, and call nothing")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            write(folder, "a.yaml", OTHER)
            with Network(bin_folder, routes=folder) as net:
                net.hello()
                code, out, err = net.cli("routes", "ls", "--routes", folder, "--json")
                assert code == 0, (out, err)
                listed = json.dumps(json.loads(out))
                assert "GET /greet/{who}" in listed and "GET /hello" in listed, out
                code, out, err = net.cli("routes", "explain", "GET", "/greet/Ada?x=1", "--routes", folder)
                assert code == 0, (out, err)
                for each in ("GET /greet/{who}", "a.yaml:3", "hello.say", "path.who", "Ada", "step.first.message", "hello.said"):
                    assert each in out, (each, out)
                code, out, err = net.cli("routes", "explain", "GET", "/hello", "--routes", folder)
                assert code == 0 and "400" in out and "is missing" in out, (code, out, err)
                stats = net.cli("stats", "--json")[1]
                before = stats.count("hello.say")
                assert net.cli("routes", "explain", "GET", "/hi/x", "--offline", "--routes", folder)[0] == 0
                assert net.cli("stats", "--json")[1].count("hello.say") == before

    @test("routes: a gateway that is told to end finishes what follows after its answers")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            write(folder, "a.yaml", """
routes:
  - route: GET /quick
    call: hello.say
    fields: { name: { value: x } }
    then:
      slow: { call: job.run, fields: {} }
""")
            with Network(bin_folder, routes=folder) as net:
                net.hello()
                worker = net.python("tests/e2e/patient_worker.py", "one")
                eventually(lambda: net.get("/quick")[0] == 200)
                eventually(lambda: "called" in worker.read(), what="what follows has begun")
                net.gateway.process.send_signal(signal.SIGTERM)
                try:
                    net.gateway.process.wait(1)
                    raise AssertionError("the gateway ended before what follows had")
                except subprocess.TimeoutExpired:
                    pass
                worker.process.send_signal(signal.SIGUSR1)
                assert net.gateway.process.wait(10) == 0
                assert "after the answer" not in net.gateway.log(), net.gateway.log()
