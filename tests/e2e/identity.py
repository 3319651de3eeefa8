"""End-to-end tests of who is let in: tokens of every algorithm by another library, API keys by the CLI, what services are told, rotation and revocation."""
import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import subprocess
import tempfile
import threading
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from network import Network, eventually

SECRET = "0123456789abcdef0123456789abcdef"
ROUTES = """
tokens: { keys: file.keys.json, issuer: "https://login.example.com", audience: shop, leeway: 2s }
api_keys: { file: api-keys.jsonl }
access: { routes: anyone, operations: known, documents: known }
events: { topics: ['*'], access: [events:read] }
routes:
  - { route: GET /open, call: headers.show, fields: {} }
  - { route: GET /known, call: headers.show, fields: {}, access: known }
  - { route: GET /read, call: headers.show, fields: {}, access: [orders:read] }
  - { route: POST /write, call: headers.take, fields: {}, access: [orders:read, orders:write] }
  - { route: POST /body, call: headers.take, fields: body }
"""


def number(value, size=None):
    raw = value.to_bytes(size or (value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Issuer:
    """Keys of each algorithm, as an issuer of tokens has them."""

    def __init__(self, prefix=""):
        self.keys = {"RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048), "ES256": ec.generate_private_key(ec.SECP256R1()),
                     "EdDSA": ed25519.Ed25519PrivateKey.generate(), "HS256": SECRET}
        self.prefix = prefix

    def jwks(self):
        of_rsa, of_ec = self.keys["RS256"].public_key().public_numbers(), self.keys["ES256"].public_key().public_numbers()
        x = self.keys["EdDSA"].public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {"keys": [
            {"kid": self.prefix + "RS256", "kty": "RSA", "use": "sig", "alg": "RS256", "n": number(of_rsa.n), "e": number(of_rsa.e)},
            {"kid": self.prefix + "ES256", "kty": "EC", "crv": "P-256", "x": number(of_ec.x, 32), "y": number(of_ec.y, 32)},
            {"kid": self.prefix + "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(x).rstrip(b"=").decode()},
            {"kid": self.prefix + "HS256", "kty": "oct", "k": base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()}]}

    def token(self, algorithm="ES256", **claims):
        said = {"iss": "https://login.example.com", "aud": "shop", "exp": int(time.time()) + 600, "sub": "ada", **claims}
        return jwt.encode(said, self.keys[algorithm], algorithm=algorithm, headers={"kid": self.prefix + algorithm})


def replace(path, text):
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".tmp", path)


def define(test, bin_folder):
    class Guarded:
        """A network whose gateway knows an issuer and API keys, with a worker that shows the headers of its calls."""

        def __init__(self, routes=ROUTES):
            self.issuer = Issuer()
            self.folder = tempfile.TemporaryDirectory(prefix="waggle-")
            self.keys, self.api_keys = f"{self.folder.name}/keys.json", f"{self.folder.name}/api-keys.jsonl"
            replace(self.keys, json.dumps(self.issuer.jwks()))
            self.cli("ls")
            self.first = self.make("first", "--scope", "orders:read", "--claims", '{"tenant":"acme"}')
            replace(f"{self.folder.name}/routes.yaml", routes)
            self.net = Network(bin_folder, routes=f"{self.folder.name}/routes.yaml")
            try:
                self.net.python("tests/e2e/headers_worker.py")
                eventually(lambda: self.ask("/open")[0] == 200, what="the route is there")
            except BaseException:
                self.__exit__()
                raise

        def cli(self, *arguments):
            got = subprocess.run([f"{bin_folder}/waggle", "keys", *arguments, "--file", self.api_keys, "--json"], capture_output=True, text=True, timeout=20)
            return got.returncode, json.loads(got.stdout) if got.stdout else None, got.stderr

        def make(self, name, *arguments):
            code, out, err = self.cli("new", name, *arguments)
            assert code == 0, (code, out, err)
            return out

        def ask(self, path, *headers, method="GET", source=None):
            """Status, headers and JSON; headers may come twice."""
            connection = http.client.HTTPConnection(self.net.gateway.value("http"), timeout=20, source_address=source and (source, 0))
            try:
                connection.putrequest(method, path)
                for name, value in headers:
                    connection.putheader(name, value)
                connection.putheader("Content-Length", "0")
                connection.endheaders()
                answer = connection.getresponse()
                text = answer.read()
                return answer.status, answer.headers, json.loads(text) if text else None
            finally:
                connection.close()

        def bearer(self, path, token, **more):
            return self.ask(path, ("Authorization", "Bearer " + token), **more)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.net.__exit__()
            self.folder.cleanup()

    @test("identity: a token of each algorithm, made by another library, is taken, and the service is told what it claims")
    def _():
        with Guarded() as of:
            for algorithm in ("RS256", "ES256", "EdDSA", "HS256"):
                status, _, told = of.bearer("/known", of.issuer.token(algorithm, scope="orders:read", deep={"a": [1, "ü"]}))
                assert status == 200, (algorithm, status, told)
                claims = json.loads(told["claims"])
                assert claims["sub"] == "ada" and claims["deep"] == {"a": [1, "ü"]} and claims["scope"] == "orders:read", claims
            status, headers, problem = of.ask("/known")
            assert status == 401 and headers["WWW-Authenticate"] == 'Bearer realm="waggle"' and "X-Api-Key" in problem["detail"], (status, headers, problem)
            assert "Authorization" in headers["Vary"] and "X-Api-Key" in headers["Vary"], headers["Vary"]
            for token, why in ((of.issuer.token(exp=int(time.time()) - 3), "the token has expired"), (of.issuer.token(aud="other"), "the token is for another audience"),
                               (of.issuer.token(iss="https://evil.example.com"), "the token is from another issuer"),
                               (of.issuer.token(nbf=int(time.time()) + 60), "the token is not valid yet"), (Issuer().token(), "the token's signature is not good"),
                               (Issuer("new-").token(), "the token's key is not known"), (of.issuer.token(x="x" * 6200), "the token is larger than 8 KiB"), ("x.y", "three parts")):
                for path in ("/known", "/open"):  # who lies is refused where nobody is asked, too
                    status, headers, problem = of.bearer(path, token)
                    assert status == 401 and why in problem["detail"], (why, status, problem)
                    assert headers["WWW-Authenticate"].startswith('Bearer realm="waggle", error="invalid_token", error_description="'), headers["WWW-Authenticate"]
            # The public key as a secret.
            head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"RS256"}').rstrip(b"=")
            body = of.issuer.token().split(".")[1].encode()
            public = of.issuer.keys["RS256"].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            forged = base64.urlsafe_b64encode(hmac.new(public, head + b"." + body, hashlib.sha256).digest()).rstrip(b"=")
            assert of.bearer("/known", b".".join((head, body, forged)).decode())[0] == 401

    @test("identity: a route is for who has its scopes, and says which are lacking")
    def _():
        with Guarded() as of:
            for scopes, read, write in (("", 403, 403), ("orders:read", 200, 403), ("orders:write", 403, 403), ("orders:write orders:read x", 200, 200), ("orders", 403, 403)):
                token = of.issuer.token(scope=scopes)
                assert of.bearer("/read", token)[0] == read and of.bearer("/write", token, method="POST")[0] == write, scopes
            status, headers, problem = of.bearer("/write", of.issuer.token(scope="orders:read"), method="POST")
            assert headers["WWW-Authenticate"] == 'Bearer realm="waggle", error="insufficient_scope", scope="orders:read orders:write"', headers["WWW-Authenticate"]
            assert "orders:write" in problem["detail"] and problem["may_have_run"] is False, problem
            status, headers, _ = of.ask("/read")
            assert status == 401 and headers["WWW-Authenticate"] == 'Bearer realm="waggle", scope="orders:read"', headers["WWW-Authenticate"]
            # What the gateway answers itself.
            for path, without, with_it in (("/livez", 200, 200), ("/readyz", 200, 200), ("/openapi.json", 401, 200), ("/operations/x", 401, 404), ("/events?last=99999", 401, 403)):
                assert of.ask(path)[0] == without and of.bearer(path, of.issuer.token(scope="orders:read"))[0] == with_it, path
            # A route of a service is for whom all are for.
            eventually(lambda: all(of.ask("/headers")[0] == 200 for _ in range(4)), what="the service's route is there")
            replace(f"{of.folder.name}/routes.yaml", ROUTES.replace("routes: anyone", "routes: [admin]"))
            eventually(lambda: all(of.ask("/headers")[0] == 401 for _ in range(4)), what="all routes are for admins")
            assert of.bearer("/headers", of.issuer.token())[0] == 403 and of.bearer("/headers", of.issuer.token(scope="admin"))[0] == 200
            assert of.ask("/open")[0] == 401
            assert of.ask("/nothing")[0] == 404 and of.ask("/read", method="OPTIONS")[0] == 204

    @test("identity: nothing that a client sends becomes a claim, nor any other header of a call")
    def _():
        with Guarded() as of:
            lies = [("claims", '{"sub":"root"}'), ("Claims", '{"sub":"root"}'), ("waggle-claims", '{"sub":"root"}'), ("X-Claims", '{"sub":"root"}'), ("X-Forwarded-User", "root"),
                    ("X-Remote-User", "root"), ("Waggle-Header-claims", "{}"), ("key", "k"), ("operation", "7"), ("later", "1"), ("event_id", "x"), ("idempotency_key", "x"), ("Cookie", "claims={}")]
            status, _, told = of.ask("/open?claims=%7B%7D&api_key=" + of.first["key"] + "&access_token=" + of.issuer.token(), *lies)
            assert status == 200 and sorted(told) == ["request_id", "traceparent"], told
            status, _, told = of.ask("/open", *lies, ("Authorization", "Bearer " + of.issuer.token()))
            assert status == 200 and json.loads(told["claims"])["sub"] == "ada" and sorted(told) == ["claims", "request_id", "traceparent"], told
            good = ("Authorization", "Bearer " + of.issuer.token())
            for twice in ([good, good], [good, ("authorization", "Bearer x")], [good, ("X-Api-Key", of.first["key"])], [("X-Api-Key", of.first["key"])] * 2):
                status, headers, _ = of.ask("/open", *twice)
                assert status == 400 and 'error="invalid_request"' in headers["WWW-Authenticate"], (twice, status)
            # A trailer is no header.
            connection = http.client.HTTPConnection(of.net.gateway.value("http"), timeout=20)
            connection.connect()
            connection.sock.sendall(b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization, claims\r\n\r\n2\r\n{}\r\n0\r\n"
                                    b"Authorization: " + good[1].encode() + b"\r\nclaims: {}\r\nX-Api-Key: " + of.first["key"].encode() + b"\r\n\r\n")
            answer = http.client.HTTPResponse(connection.sock)
            answer.begin()
            told = json.loads(answer.read())
            assert answer.status == 200 and "claims" not in told, told
            connection.close()

    @test("identity: keys that an issuer changes are taken from the file, while requests go on, all or nothing")
    def _():
        with Guarded() as of:
            old, new = of.issuer, Issuer("new-")
            statuses, over = [], threading.Event()

            def ask():
                while not over.is_set():
                    statuses.append(of.bearer("/known", old.token("RS256"))[0])
            asking = threading.Thread(target=ask)
            asking.start()
            assert of.bearer("/known", new.token())[0] == 401
            replace(of.keys, json.dumps({"keys": old.jwks()["keys"] + new.jwks()["keys"] + [{"kty": "AKP", "kid": "later"}]}))
            # From other addresses: what is not good too often has to wait.
            eventually(lambda: of.bearer("/known", new.token(), source="127.0.0.2")[0] == 200, what="the new keys are taken")
            assert 'key 9 ("later") is left out' in of.net.gateway.log()
            replace(of.keys, '{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}')
            eventually(lambda: "goes on with the routes it had" in of.net.gateway.log(), what="the bad file is told of")
            assert "shorter than 2048 bits" in of.net.gateway.log() and of.bearer("/known", new.token())[0] == 200
            over.set()
            asking.join()
            assert set(statuses) == {200} and len(statuses) > 5, set(statuses)
            remembered = old.token("ES256")
            assert of.bearer("/known", remembered)[0] == 200
            replace(of.keys, json.dumps(new.jwks()))
            eventually(lambda: of.bearer("/known", remembered, source="127.0.0.3")[0] == 401, what="the old keys are gone, for tokens that were known, too")
            assert of.bearer("/known", new.token("EdDSA"))[0] == 200

    @test("identity: an API key is shown once, works in both headers, and is refused everywhere soon after it is revoked, under load")
    def _():
        with Guarded() as of:
            key, ident = of.first["key"], of.first["id"]
            assert re.fullmatch("wgl_[a-z2-7]{8}_[a-z2-7]{40}", key) and key.split("_")[1] == ident
            for header in (("X-Api-Key", key), ("Authorization", "Bearer " + key)):
                status, _, told = of.ask("/read", header)
                assert status == 200 and json.loads(told["claims"]) == {"sub": "key:" + ident, "name": "first", "scope": "orders:read", "tenant": "acme"}, (status, told)
                assert of.ask("/write", header, method="POST")[0] == 403
            other = of.make("other", "--scope", "orders:read")
            # From another address: what is not good too often has to wait.
            eventually(lambda: of.ask("/read", ("X-Api-Key", other["key"]), source="127.0.0.2")[0] == 200, what="a new key is taken")
            for wrong in (key[:-1] + ("a" if key[-1] != "a" else "b"), "wgl_aaaaaaaa_" + key[13:], key.upper(), key + "a"):
                status, headers, _ = of.ask("/open", ("X-Api-Key", wrong))
                assert status == 401 and 'error="invalid_token"' in headers["WWW-Authenticate"], (wrong, status, dict(headers))
            seen, over = [], threading.Event()

            def ask():
                while not over.is_set():
                    seen.append(of.ask("/read", ("X-Api-Key", key))[0])
            asking = [threading.Thread(target=ask) for _ in range(4)]
            for each in asking:
                each.start()
            eventually(lambda: len(seen) > 20, what="requests come")
            code, out, _ = of.cli("revoke", ident)
            assert code == 0 and out["state"] == "revoked" and "key" not in out and "hash" not in out, out
            eventually(lambda: len(seen) > 40 and set(seen[-40:]) <= {401, 429}, what="the key is refused, by each thread")
            over.set()
            for each in asking:
                each.join()
            assert set(seen) == {200, 401, 429}, set(seen)
            assert of.ask("/read", ("X-Api-Key", other["key"]))[0] == 200, "the other key goes on"
            # Nothing that was shown is on disk or in a log.
            with open(of.api_keys, encoding="utf-8") as file:
                kept = file.read()
            for each in (key, other["key"]):
                assert each.split("_")[2] not in kept + of.net.gateway.log()
                assert hashlib.sha256(each.split("_")[2].encode()).hexdigest() in kept
            assert os.stat(of.api_keys).st_mode & 0o777 == 0o600

    @test("identity: an address that tries credentials is told to wait, and others are served, as is who has an API key there")
    def _():
        with Guarded() as of:
            statuses = []
            for guess in range(30):
                status, headers, problem = of.ask("/known", ("X-Api-Key", of.first["key"][:-3] + "abcdefghijklmnopqrstuvwxyz234567"[guess] + "aa"))
                statuses.append(status)
            assert statuses[:20] == [401] * 20 and statuses[-1] == 429 and set(statuses) == {401, 429}, statuses
            assert 1 <= int(headers["Retry-After"]) <= 3 and problem["code"] == "RESOURCE_EXHAUSTED" and not problem["may_have_run"], (headers["Retry-After"], problem)
            assert of.bearer("/open", of.issuer.token())[0] == 429, "a token that has not been seen is not looked at"
            assert of.ask("/open")[0] == 200 and of.ask("/known")[0] == 401, "who shows nothing has not failed"
            assert of.ask("/known", ("X-Api-Key", of.first["key"]))[0] == 200
            got = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--interface", "127.0.0.2", "-H", "Authorization: Bearer " + of.issuer.token(), of.net.http + "/known"],
                                 capture_output=True, text=True, timeout=20)
            assert got.stdout == "200", got
            assert of.bearer("/known", "x.y.z", source="127.0.0.2")[0] == 401
            eventually(lambda: of.bearer("/known", of.issuer.token())[0] == 200, what="the address may try again")

    @test("CLI: keys are made, listed and revoked, and what is wrong is said with its exit code")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/k.jsonl"

            def keys(*arguments, file=path):
                got = subprocess.run([f"{bin_folder}/waggle", "keys", *arguments, *(["--file", file] if file else [])], capture_output=True, text=True, timeout=20,
                                     env={k: v for k, v in os.environ.items() if not k.startswith("WAGGLE_")})
                return got.returncode, got.stdout, got.stderr
            assert keys("ls")[:2] == (0, "")
            code, out, err = keys("new", "shop", "--scope", "a", "--scope", "b:c", "--expires", "90d")
            assert code == 0 and re.fullmatch("wgl_[a-z2-7]{8}_[a-z2-7]{40}\n", out) and out.split("_")[1] in err, (out, err)
            ident = out.split("_")[1]
            code, out, _ = keys("ls")
            assert code == 0 and ident in out and "valid" in out and "a b:c" in out, out
            assert keys("revoke", ident)[0] == 0 and "revoked" in keys("ls")[1]
            assert keys("revoke", ident)[0] == 0, "again is the same"
            assert keys("revoke", "zzzzzzzz")[0] == 15 or "no key has the id" in keys("revoke", "zzzzzzzz")[2]
            for wrong in (("new", "x", "--scope", "a b"), ("new", "x", "--expires", "soon"), ("new", "x", "--expires", "4000d"), ("new", "x", "--claims", "[]"),
                          ("new", "x", "--claims", '{"sub":"root"}'), ("new", ""), ("new", "x" * 129), ("frob",), ()):
                code, out, err = keys(*wrong)
                assert code == 2 and out == "" and err, (wrong, code, out, err)
            assert keys("ls", file=None)[0] == 2
            with open(path, "a", encoding="utf-8") as file:
                file.write("{}\n")
            code, _, err = keys("new", "x")
            assert code == 1 and f"{path}:3: it has no hash" in err, (code, err)
            assert keys("ls", file=folder)[0] == 1 and keys("new", "x", file="/dev/null/x")[0] == 1
