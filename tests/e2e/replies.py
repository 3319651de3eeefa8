"""End-to-end tests of what the gateway keeps of replies: tags, gzip, caches, and answers under Idempotency-Keys through crashes and full disks."""
import concurrent.futures
import gzip
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile

from network import Network, Program, eventually

ROUTES = """
routes:
  - route: GET /greet/{name}
    call: hello.say
    cache: { for: 1h }
    cache_control: "private, max-age=5"
  - route: POST /jobs
    call: job.run
    fields: body
    budget: 20s
    idempotency: required
  - route: POST /greetings
    call: hello.say
    idempotency: accepted
"""


def define(test, bin_folder):
    """Adds the tests to run.py's."""

    def write(folder, text=ROUTES):
        path = os.path.join(folder, "routes.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def curl(*arguments):
        got = subprocess.run(["curl", "-s", "-i", *arguments], capture_output=True, timeout=30, check=True).stdout
        head, _, body = got.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        return int(lines[0].split()[1]), {k.lower(): v for k, _, v in (each.partition(": ") for each in lines[1:])}, body

    def post(at, path, key=None, body=b"{}"):
        """As (status, headers, body); nothing if the gateway went away amid it."""
        connection = http.client.HTTPConnection(at.removeprefix("http://"), timeout=30)
        try:
            headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
            connection.request("POST", path, body, headers)
            got = connection.getresponse()
            return got.status, got.headers, got.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    @test("replies: curl gets tags, 304 and gzip, of routes, from the cache and of /openapi.json")
    def _():
        with tempfile.TemporaryDirectory() as folder, Network(bin_folder, routes=write(folder), gateway=("--threads", "1")) as net:
            net.hello()
            long_name = "x" * 3000
            status, first, body = curl(net.http + "/greet/" + long_name)
            assert status == 200 and body == b'{"message":"hello ' + long_name.encode() + b'"}', (status, body)
            assert first["cache-control"] == "private, max-age=5" and "Accept-Encoding" in first["vary"], first
            assert first["cache-status"] == "waggle; fwd=uri-miss; stored", first
            status, second, body = curl("--compressed", net.http + "/greet/" + long_name)
            assert status == 200 and body == b'{"message":"hello ' + long_name.encode() + b'"}', (status, body)
            assert second["content-encoding"] == "gzip" and int(second["content-length"]) < 1000, second
            assert second["cache-status"].startswith("waggle; hit; ttl=") and second["etag"] != first["etag"], second
            for tag, flags in ((first["etag"], ()), (second["etag"], ("--compressed",)), (first["etag"], ("--compressed",)), ("W/" + first["etag"], ())):
                status, headers, body = curl(*flags, "-H", "If-None-Match: " + tag, net.http + "/greet/" + long_name)
                assert status == 304 and body == b"" and headers["etag"] == tag.removeprefix("W/"), (status, headers, body)
                assert "cache-control" in headers and "vary" in headers and "content-length" not in headers, headers
            status, head, body = curl("--head", "--compressed", net.http + "/greet/" + long_name)
            assert status == 200 and body == b"" and head["content-length"] == second["content-length"] and head["etag"] == second["etag"], head
            status, headers, body = curl("-H", "Accept-Encoding: gzip", net.http + "/openapi.json")
            assert headers["content-encoding"] == "gzip" and headers["cache-control"] == "no-cache", headers
            assert json.loads(gzip.decompress(body))["openapi"].startswith("3.1"), body
            assert curl("--compressed", "-H", "If-None-Match: " + headers["etag"], net.http + "/openapi.json")[0] == 304
            status, headers, body = curl(net.http + "/greet")
            assert status == 404 and headers["cache-control"] == "no-store" and "etag" not in headers, headers

    @test("replies: of a hundred requests with one key the worker runs one, and a restart changes no answer")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            data = ("--data", os.path.join(folder, "data"))
            with Network(bin_folder, routes=write(folder), gateway=data) as net:
                worker = net.python("tests/e2e/patient_worker.py", "one", "200")
                eventually(lambda: net.get("/readyz")[0] == 200 and b"job.run" not in net.get("/readyz")[2], what="the gateway knows the worker")
                with concurrent.futures.ThreadPoolExecutor(100) as pool:
                    asked = [pool.submit(post, net.http, "/jobs", "k1") for _ in range(100)]
                    eventually(lambda: "called" in worker.read(), what="the job has begun")
                    eventually(lambda: sum(each.done() for each in asked) >= 99, what="all but one are refused")
                    worker.process.send_signal(signal.SIGUSR1)
                    got = [each.result() for each in asked]
                assert sorted(each[0] for each in got) == [200] + [409] * 99, [each[0] for each in got]
                assert worker.read().count("called") == 1, worker.read()
                status, headers, body = post(net.http, "/jobs", "k1")
                assert (status, body, headers["Idempotent-Replayed"]) == (200, b'"done"', "true"), (status, headers, body)
                assert post(net.http, "/jobs", "k1", b'{"x":1}')[0] == 422
                assert post(net.http, "/jobs")[0] == 400
                net.gateway.stop()
                net.gateway = net.start("waggle-gateway", "--http", "127.0.0.1:0", "--broker", net.endpoint, "--routes", os.path.join(folder, "routes.yaml"), *data)
                net.http = "http://" + net.gateway.value("http")
                eventually(lambda: net.get("/readyz")[0] == 200)
                status, headers, body = post(net.http, "/jobs", "k1")
                assert (status, body, headers["Idempotent-Replayed"]) == (200, b'"done"', "true"), (status, headers, body)
                assert worker.read().count("called") == 1, worker.read()
                # The folder is one gateway's.
                second = subprocess.run([os.path.join(bin_folder, "waggle-gateway"), "--http", "127.0.0.1:0", *data], capture_output=True, text=True, timeout=20)
                assert second.returncode == 1 and "is in use by another gateway" in second.stderr, second

    @test("replies: after kill -9 amid a request with a key it is not done a second time, and what was answered is answered again")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            data = ("--data", os.path.join(folder, "data"))
            with Network(bin_folder, routes=write(folder), gateway=data) as net:
                worker = net.python("tests/e2e/patient_worker.py", "one")
                net.hello()
                assert post(net.http, "/greetings", "g1", b'{"name":"Ada"}')[0] == 200
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    asked = pool.submit(post, net.http, "/jobs", "k1")
                    eventually(lambda: "called" in worker.read(), what="the job has begun")
                    net.gateway.stop(signal.SIGKILL)
                    assert asked.result() is None
                net.gateway = net.start("waggle-gateway", "--http", "127.0.0.1:0", "--broker", net.endpoint, "--routes", os.path.join(folder, "routes.yaml"), *data)
                net.http = "http://" + net.gateway.value("http")
                eventually(lambda: net.get("/hello?name=x")[0] == 200)
                status, headers, body = post(net.http, "/jobs", "k1")
                assert status == 409 and json.loads(body)["may_have_run"] is True and "find out whether it has been done" in body.decode(), (status, body)
                assert worker.read().count("called") == 1, worker.read()
                status, headers, body = post(net.http, "/greetings", "g1", b'{"name":"Ada"}')
                assert status == 200 and headers["Idempotent-Replayed"] == "true" and body == b'{"message":"hello Ada"}', (status, body)

    @test("replies: on a full disk requests with keys are refused before they are done, the others are not, and it mends itself")
    def _():
        folder = tempfile.mkdtemp(prefix="waggle-")
        # A small disk of its own, in a mount namespace that ends with the gateway.
        small = ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=3m none "$1" && shift && exec "$@"', "sh", f"{folder}/disk"]
        os.mkdir(f"{folder}/disk")
        try:
            if subprocess.run([*small, "true"], capture_output=True).returncode != 0:
                print("        left out: this system lets nobody mount a disk of his own")
                return
            with Network(bin_folder) as net, Program(*small, os.path.join(bin_folder, "waggle-gateway"), "--http", "127.0.0.1:0", "--broker", net.endpoint,
                                                     "--routes", write(folder), "--data", f"{folder}/disk/data") as gateway:
                net.hello()
                at = "http://" + gateway.value("http")
                eventually(lambda: post(at, "/greetings", None, b'{"name":"x"}')[0] == 200, what="the gateway serves")
                inside = f"/proc/{gateway.process.pid}/root{folder}/disk"
                with open(f"{inside}/ballast", "wb") as ballast:
                    ballast.write(b"x" * 2_000_000)
                body = json.dumps({"name": "x" * 20_000}).encode()
                kept = 0
                while kept < 100 and (got := post(at, "/greetings", f"k{kept}", body))[0] == 200 and "replies cannot be kept" not in gateway.log():
                    kept += 1
                assert 5 < kept < 100, (kept, got)
                refused = eventually(lambda: (got := post(at, "/greetings", "new", body))[0] == 503 and got, what="a new key is refused")
                assert json.loads(refused[2])["may_have_run"] is False and "Retry-After" in refused[1], refused
                assert "the disk is full" in gateway.log(), gateway.log()
                assert post(at, "/greetings", None, body)[0] == 200
                status, headers, _ = post(at, "/greetings", "k0", body)
                assert status == 200 and headers["Idempotent-Replayed"] == "true", (status, headers)
                os.remove(f"{inside}/ballast")
                eventually(lambda: post(at, "/greetings", "new", body)[0] == 200, 20, "a new key is taken once there is room")
        finally:
            shutil.rmtree(folder)
