"""End-to-end tests of what the gateway says of itself: OpenAPI documents under validators that others have written, and the page at /docs in a
browser. Both come from npm, in the versions and with the check sums that tests/e2e/npm/package-lock.json says."""
import base64
import hashlib
import hmac
import http.server
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import urllib.request

from network import REPOSITORY, Network, Program, eventually
from shop import Shop

HERE = os.path.dirname(os.path.abspath(__file__))
KEY = "k" * 32


def token(**claims):
    """A JSON Web Token of KEY."""
    def part(of):
        return base64.urlsafe_b64encode(of).rstrip(b"=")
    text = part(b'{"alg":"HS256"}') + b"." + part(json.dumps({"exp": 4102444800, **claims}).encode())
    return (text + b"." + part(hmac.new(KEY.encode(), text, hashlib.sha256).digest())).decode()


class Prefixed:
    """A proxy that has the gateway under /inside/ and takes the prefix off."""

    def __init__(self, upstream):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if not self.path.startswith("/inside/"):
                    return self.send_error(404)
                asked = urllib.request.Request(upstream + self.path.removeprefix("/inside"))
                opener = urllib.request.build_opener(type("Same", (urllib.request.HTTPRedirectHandler,), {"redirect_request": lambda *_: None}))
                try:
                    got = opener.open(asked, timeout=20)
                except urllib.error.HTTPError as error:
                    got = error
                with got:
                    body = got.read()
                    self.send_response(got.status)
                    for name, value in got.headers.items():
                        if name.lower() not in ("content-length", "connection", "date"):
                            self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/inside"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def define(test, bin_folder):
    def modules():
        """The folder with the scripts of tests/e2e/npm and all that they import; fetched once for each build folder."""
        folder = os.path.join(os.path.dirname(bin_folder), "npm", "tests")
        source = os.path.join(HERE, "npm")
        with open(os.path.join(source, "package-lock.json"), "rb") as lock:
            stamp = os.path.join(folder, hashlib.sha256(lock.read()).hexdigest())
        if not os.path.exists(stamp):
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            for each in ("package.json", "package-lock.json"):
                shutil.copy(os.path.join(source, each), folder)
            got = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, timeout=300)
            assert got.returncode == 0, got.stderr
            with open(stamp, "w", encoding="ascii"):
                pass
        for each in os.listdir(source):
            if each.endswith(".mjs"):
                shutil.copy(os.path.join(source, each), folder)
        return folder

    def node(script, *arguments):
        return subprocess.run(["node", os.path.join(modules(), script), *arguments], capture_output=True, text=True, timeout=120)

    def faults(*documents):
        """What the validators say of OpenAPI documents."""
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for number, document in enumerate(documents):
                paths.append(os.path.join(folder, f"{number}.json"))
                with open(paths[-1], "wb") as file:
                    file.write(document)
            got = node("check_openapi.mjs", *paths)
            assert got.returncode in (0, 1) and not got.stderr, got
            return got.stdout

    def tried(**what):
        """One request through the page; nothing may be asked of anybody else, and nothing complained about."""
        browser = shutil.which("chromium") or shutil.which("chromium-browser")
        assert browser, "the page is tried in a browser: install chromium"
        with tempfile.TemporaryDirectory() as folder:
            picture = os.environ.get("WAGGLE_TEST_SCREENSHOT", os.path.join(folder, "page.png"))
            got = node("try_docs.mjs", browser, picture, json.dumps(what))
            assert got.returncode == 0, got.stderr
            assert os.path.getsize(picture) > 10_000
        seen = json.loads(got.stdout)
        origin = re.match(r"http://[^/]+/", what["url"]).group(0)
        assert all(each["url"].startswith(origin) for each in seen["requests"]), seen["requests"]
        return seen

    def with_routes(text):
        class Routed(Network):
            def __init__(self):
                self.folder = tempfile.TemporaryDirectory()
                path = os.path.join(self.folder.name, "routes.yaml")
                key_set = {"keys": [{"kty": "oct", "kid": "a", "alg": "HS256", "k": "c2VjcmV0" * 8}]}
                for name, what in ((path, text), (os.path.join(self.folder.name, "secret"), KEY), (os.path.join(self.folder.name, "set.json"), json.dumps(key_set)),
                                   (os.path.join(self.folder.name, "keys.jsonl"), "")):
                    with open(name, "w", encoding="utf-8") as file:
                        file.write(what)
                super().__init__(bin_folder, routes=path)

            def __exit__(self, *_):
                super().__exit__()
                self.folder.cleanup()
        return Routed()

    @test("docs: the OpenAPI documents of hello, of the shop, and of routes with every key are valid for whoever wrote validators")
    def _():
        with Network(bin_folder, events="*") as net:
            net.hello()
            hello = net.get("/openapi.json")[2]
        with Shop(bin_folder) as net:
            shop = net.get("/openapi.json")[2]
        every = os.path.join(HERE, "every_key.yaml")
        with open(every, encoding="utf-8") as file:
            text = file.read()
        schema = json.loads(subprocess.run([os.path.join(bin_folder, "waggle"), "routes", "schema"], capture_output=True, text=True, check=True).stdout)
        of_a_route = {key: each for key, each in schema["properties"].items() if key not in ("limits", "tls")}
        keys, followed = set(of_a_route), set()

        def collect(of):
            if isinstance(of, dict):
                if isinstance(of.get("properties"), dict):
                    keys.update(of["properties"])
                if isinstance(of.get("$ref"), str) and of["$ref"] not in followed:
                    followed.add(of["$ref"])
                    collect(schema["definitions"][of["$ref"].rpartition("/")[2]])
                of = list(of.values())
            if isinstance(of, list):
                for each in of:
                    collect(each)
        collect(of_a_route)
        assert len(keys) > 40, keys
        missing = [each for each in keys if not re.search(rf"(?<![\w.]){re.escape(each)}:", text)]
        assert not missing, f"tests/e2e/every_key.yaml does without {missing}"
        with with_routes(text) as net:
            net.hello()
            net.python("services/echo-py/echo.py")
            eventually(lambda: net.get("/echo", "OPTIONS")[0] == 204)
            all_keys = net.get("/openapi.json")[2]
        assert faults(hello, shop, all_keys) == ""
        assert len(json.loads(shop)["paths"]) > 10 and len(json.loads(all_keys)["paths"]) > 10
        broken = json.loads(hello)
        broken["paths"]["/hello"]["get"]["parameters"][0]["in"] = "nowhere"
        broken["components"]["schemas"]["hello.greeting"]["type"] = "text"
        assert "/hello" in faults(json.dumps(broken).encode())  # they would say so

    @test("docs: in a browser the page shows the service, tries a request and shows its answer, and asks nobody else")
    def _():
        with Network(bin_folder) as net:
            net.hello()
            seen = tried(url=net.http + "/docs", method="get", path="/hello", fields={"name": "Ada"})
            assert (seen["status"], json.loads(seen["answer"])) == ("200", {"message": "hello Ada"}), seen
            assert seen["title"] == "waggle gateway" and not seen["complaints"], seen
            with Prefixed(net.http) as proxy:
                seen = tried(url=proxy.url + "/docs", method="get", path="/hello", fields={"name": "Grace"})
                assert json.loads(seen["answer"]) == {"message": "hello Grace"} and not seen["complaints"], seen
                assert seen["requests"][-1]["url"] == proxy.url + "/hello?name=Grace", seen["requests"][-1]

    @test("docs: a body and a token can be given in the page, and go where they should")
    def _():
        with with_routes("""
tokens: { algorithm: HS256, key: file.secret }
routes:
  - { route: POST /greet, when: { claim.role: admin }, call: hello.say, fields: { name: body.who } }
""") as net:
            net.hello()
            what = {"url": net.http + "/docs", "method": "post", "path": "/greet", "body": '{"who":"Ada"}'}
            seen = tried(**what, token=token(role="admin"))
            assert (seen["status"], json.loads(seen["answer"])) == ("200", {"message": "hello Ada"}), seen
            assert json.loads(seen["requests"][-1]["body"]) == {"who": "Ada"}, seen["requests"][-1]
            assert tried(**what)["status"] == "401"

    @test("docs: the page is there in one process, too; --docs off takes it away, and a route of the user's own goes first")
    def _():
        def answer(url, path):
            try:
                with urllib.request.urlopen(url + path, timeout=20) as got:
                    return got.status, got.headers, got.read()
            except urllib.error.HTTPError as got:
                with got:
                    return got.code, got.headers, got.read()
        with Program(os.path.join(bin_folder, "waggle-hello"), "--http", "127.0.0.1:0") as one:
            status, headers, body = answer("http://" + one.value("http"), "/docs")
            assert status == 200 and b"swagger-ui-bundle.js" in body and "default-src 'none'" in headers["Content-Security-Policy"], (status, body)
        with with_routes("routes: [{ route: 'GET /docs/{page}', call: hello.say, fields: { name: path.page } }]\n") as net:
            net.hello()
            assert net.get("/docs/page.js")[2] == b'{"message":"hello page.js"}'
            gateway = net.start("waggle-gateway", "--http", "127.0.0.1:0", "--broker", net.endpoint, "--docs", "off")
            url = "http://" + gateway.value("http")
            assert answer(url, "/docs")[0] == 404 and answer(url, "/openapi.json")[0] == 200
