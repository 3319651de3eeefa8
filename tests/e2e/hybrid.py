"""End-to-end tests of hybrid services: one process that answers HTTP, calls and events."""
import http.client
import json
import os
import signal
import socket
import subprocess
import threading

from network import ANY, REPOSITORY, Network, Program, ToolsRun, eventually


def clean_environment(**more):
    return {**{k: v for k, v in os.environ.items() if not k.startswith("WAGGLE_")}, **more}


def curl(url, *arguments):
    got = subprocess.run(["curl", "-s", *arguments, url], capture_output=True, text=True, timeout=20)
    return got.stdout


def define(test, bin_folder, in_background):
    """Adds the tests to run.py's."""
    hello = os.path.join(bin_folder, "waggle-hello")

    def refused(*arguments, **env):
        got = subprocess.run([hello, *arguments], capture_output=True, text=True, timeout=20, env=clean_environment(**env))
        assert got.stdout == "", got
        return got.returncode, got.stderr

    @test("hybrid: one process answers curl at once when it says that it is ready, by flag and by environment")
    def _():
        for arguments, env in ((["--http", "127.0.0.1:0"], {}), ([], {"WAGGLE_HTTP_SELF": "127.0.0.1:0"})):
            # The gateway's own variable is not for services: this port could not be had.
            with Program(hello, *arguments, env={**env, "WAGGLE_HTTP": "192.0.2.1:1"}) as one:
                url = "http://" + one.value("http")
                assert curl(url + "/hello?name=Ada") == '{"message":"hello Ada"}', one.log()
                assert json.loads(curl(url + "/openapi.json"))["info"]["title"] == "hello"
                problem = json.loads(curl(url + "/hello"))
                assert problem["status"] == 400 and problem["errors"] == [{"path": "name", "message": "is missing"}], problem
                assert one.value("broker").startswith("inproc://") and "--listen" in one.log(), (one.ready, one.log())
                assert one.stop() == 0

    @test("hybrid: --listen lets the CLI in: ls, call and sub")
    def _():
        with Program(hello, "--http", "127.0.0.1:0", "--listen", ANY) as one:
            env = clean_environment(WAGGLE_BROKER=one.value("broker"))

            def cli(*arguments):
                return subprocess.run([os.path.join(bin_folder, "waggle"), *arguments], capture_output=True, text=True, env=env,
                                      timeout=20, stdin=subprocess.DEVNULL)
            assert "GET /hello" in cli("ls").stdout
            assert json.loads(cli("call", "hello.say", '{"name":"Ada"}').stdout) == {"message": "hello Ada"}
            seen = in_background(lambda: cli("sub", "x.", "--count", "1"))
            emitting = threading.Event()

            def emit():
                while not emitting.is_set():
                    cli("emit", "x.y", '{"n":1}')
            emitter = threading.Thread(target=emit)
            emitter.start()
            try:
                assert '{"n":1}' in seen().stdout
            finally:
                emitting.set()
                emitter.join()

    @test("hybrid: with --broker it joins a network, where it answers its own routes only, and --routes adds to them")
    def _():
        with Network(bin_folder) as net:
            net.python("services/echo-py/echo.py")
            eventually(lambda: net.get("/echo", "OPTIONS")[0] == 204, what="the gateway knows the other service")
            routes = os.path.join(REPOSITORY, "tests", "e2e", "hybrid.yaml")
            one = net.start("waggle-hello", "--http", "127.0.0.1:0", "--broker", net.endpoint, "--routes", routes)
            url = "http://" + one.value("http")
            assert one.value("broker") == net.endpoint
            assert curl(url + "/hello?name=Ada") == '{"message":"hello Ada"}'
            assert curl(url + "/hi/Ada") == '{"message":"hello Ada"}'
            assert json.loads(curl(url + "/echo", "-d", "{}", "-H", "Content-Type: application/json"))["status"] == 404
            assert net.get("/hello?name=Ada")[2] == b'{"message":"hello Ada"}'  # and the gateway answers them, too
            assert "hello.say" in net.cli("ls")[1]
            # WAGGLE_ROUTES may be the gateway's; it is no mistake for a service without --http.
            with Program(hello, "--broker", net.endpoint, env={"WAGGLE_ROUTES": routes}) as plain:
                assert "http=" not in plain.ready
            assert one.stop() == 0

    @test("hybrid: what is wrong with its flags is said with what to write instead")
    def _():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            at = f"127.0.0.1:{taken.getsockname()[1]}"
            code, err = refused("--http", at)
            assert code == 1 and at in err and "in use" in err and "--http" in err and "WAGGLE_HTTP_SELF" in err, (code, err)
            code, err = refused("--http", "127.0.0.1:0", "--listen", "tcp://" + at)
            assert code == 1 and at in err and "in use" in err and "--listen" in err, (code, err)
        for arguments, wanted in ((["--http", "8101"], "HOST:PORT"), (["--listen", ANY], "--http"), (["--routes", "x.yaml"], "--http"),
                                  (["--http", "127.0.0.1:0", "--listen", ANY, "--broker", "tcp://127.0.0.1:1"], "leave one")):
            code, err = refused(*arguments)
            assert code == 2 and wanted in err, (arguments, code, err)
        code, err = refused("--http", "127.0.0.1:0", "--routes", "/no/such/file.yaml")
        assert code == 1 and "/no/such/file.yaml" in err, (code, err)

    @test("hybrid: SIGTERM under load ends no request half way and none with an error, and the process with 0")
    def _():
        with Program(hello, "--http", "127.0.0.1:0") as one:
            host, port = one.value("http").split(":")
            bad, counts = [], [0] * 8

            def client(number):
                # Until the server closes the connection: after an answer that says so, or before any byte of an answer.
                connection = http.client.HTTPConnection(host, int(port), timeout=20)
                while True:
                    try:
                        connection.request("GET", "/hello?name=Ada")
                        got = connection.getresponse()
                    except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                        return
                    body = got.read()  # IncompleteRead if it is cut
                    if got.status != 200 or body != b'{"message":"hello Ada"}':
                        bad.append((got.status, body))
                    counts[number] += 1
                    if got.getheader("Connection") == "close":
                        return
            clients = [in_background(lambda number=number: client(number)) for number in range(len(counts))]
            eventually(lambda: min(counts) > 50, what="every client has had answers")
            one.process.send_signal(signal.SIGTERM)
            for each in clients:
                each()
            assert not bad, bad[:3]
            assert one.process.wait(10) == 0, one.log()

    @test("tools/run --hybrid: one process, says what to try, and ends within two seconds of SIGTERM")
    def _():
        with ToolsRun("--hybrid", env={"WAGGLE_HTTP_SELF": "127.0.0.1:0", "WAGGLE_LISTEN": ANY}) as script:
            url = next(each for each in script.said.split("'") if each.startswith("http://"))
            assert curl(url) == '{"message":"hello Ada"}', script.said
            script.stop(within=2)
