"""End-to-end tests of TLS: what curl, openssl and sslscan make of the gateway, with certificates made by openssl."""
import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading

from network import Program, eventually


def openssl(*arguments, stdin=""):
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, text=True, timeout=30)


class Authority:
    """A folder with an authority (ca.pem) and what it has signed: NAME.pem, NAME.key."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="waggle-")
        self.new("ca", "/CN=tests", "-x509", "-days", "2")
        self.issue("localhost", "DNS:localhost")

    def at(self, name):
        return os.path.join(self.folder, name)

    def new(self, name, subject, *arguments):
        made = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.at(name + ".key"),
                       "-out", self.at(name + ".pem"), "-subj", subject, *arguments)
        assert made.returncode == 0, made.stderr

    def issue(self, name, names, subject=None):
        self.new(name, subject or f"/CN={name}")
        with open(self.at("names"), "w", encoding="ascii") as file:
            file.write(f"subjectAltName={names}\n")
        made = openssl("x509", "-req", "-in", self.at(name + ".pem"), "-CA", self.at("ca.pem"), "-CAkey", self.at("ca.key"), "-CAcreateserial",
                       "-days", "1", "-extfile", self.at("names"))
        assert made.returncode == 0, made.stderr
        with open(self.at("new.pem"), "w", encoding="ascii") as file:
            file.write(made.stdout)
        os.rename(self.at("new.pem"), self.at(name + ".pem"))

    def write(self, name, text):
        with open(self.at(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.at(name)

    def trusting(self):
        return ssl.create_default_context(cafile=self.at("ca.pem"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)


def define(test, bin_folder):
    @contextlib.contextmanager
    def serving(authority, *flags, routes=None):
        """A gateway, and its port for TLS. It needs no broker for what it answers itself."""
        named = ["--routes", authority.write("routes.yaml", routes)] if routes is not None else []
        with Program(os.path.join(bin_folder, "waggle-gateway"), "--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--broker",
                     f"ipc://{authority.folder}/broker", *named, *flags) as gateway:
            yield gateway, int(gateway.value("https").rsplit(":", 1)[1])

    def with_one(authority):
        return ["--certificate", authority.at("localhost.pem"), "--certificate-key", authority.at("localhost.key")]

    def curl(authority, port, *arguments, host="localhost", path="/livez"):
        got = subprocess.run(["curl", "-sS", "--cacert", authority.at("ca.pem"), "--resolve", f"{host}:{port}:127.0.0.1", *arguments,
                              f"https://{host}:{port}{path}"], capture_output=True, text=True, timeout=30)
        return got.returncode, got.stdout, got.stderr

    def alive(got):
        return got[0] == 0 and got[1] == '{"status":"alive"}'

    def run(*arguments):
        return subprocess.run([os.path.join(bin_folder, "waggle-gateway"), *arguments], capture_output=True, text=True, timeout=30)

    @test("tls: curl is served over TLS 1.2 and 1.3, beside plain HTTP, by a certificate of flags")
    def _():
        with Authority() as authority, serving(authority, *with_one(authority)) as (gateway, port):
            assert alive(curl(authority, port))
            assert alive(curl(authority, port, "--tls-max", "1.2"))
            assert alive(curl(authority, port, "--tlsv1.3"))
            assert curl(authority, port, "--tls-max", "1.1", "--tlsv1.0", "--ciphers", "DEFAULT@SECLEVEL=0")[0] == 35
            plain = subprocess.run(["curl", "-sS", f"http://{gateway.value('http')}/livez"], capture_output=True, text=True, timeout=30)
            assert plain.stdout == '{"status":"alive"}', plain
            version = curl(authority, port, "-o", "/dev/null", "-w", "%{http_version} %{ssl_verify_result}", "--http2")
            assert version[:2] == (0, "1.1 0"), version
            assert re.search(r"shows CN=localhost for localhost until \d{4}-\d\d-\d\dT", gateway.log()), gateway.log()

    @test("tls: plain HTTP on the TLS port is told so")
    def _():
        with Authority() as authority, serving(authority, *with_one(authority)) as (_, port):
            got = subprocess.run(["curl", "-sS", "-i", f"http://127.0.0.1:{port}/livez"], capture_output=True, text=True, timeout=30).stdout
            assert got.startswith("HTTP/1.1 400 ") and "HTTPS" in got, got

    @test("tls: each host that a client names gets its certificate")
    def _():
        with Authority() as authority:
            authority.issue("shop", "DNS:shop.example,DNS:*.shop.example")
            routes = """
                tls:
                  certificates:
                    - { certificate: localhost.pem, key: localhost.key }
                    - { certificate: shop.pem, key: shop.key }
                """
            with serving(authority, routes=routes) as (_, port):
                for host in ("localhost", "shop.example", "eu.shop.example"):
                    assert alive(curl(authority, port, host=host)), host
                assert curl(authority, port, host="elsewhere.example")[0] == 60
                shown = openssl("s_client", "-connect", f"127.0.0.1:{port}", "-servername", "eu.shop.example", "-CAfile", authority.at("ca.pem"))
                assert "subject=CN = shop" in shown.stdout and "Verify return code: 0 (ok)" in shown.stdout, shown.stdout

    @test("tls: clients show certificates where they may, and have to where they must")
    def _():
        with Authority() as authority:
            authority.issue("ada", "email:ada@example.org")
            ada = ["--cert", authority.at("ada.pem"), "--key", authority.at("ada.key")]
            routes = """
                tls:
                  certificates: [{ certificate: localhost.pem, key: localhost.key }]
                  client_certificates: %s
                  client_ca: ca.pem
                """
            with Authority() as other:
                other.issue("eve", "email:eve@example.org")
                eve = ["--cert", other.at("eve.pem"), "--key", other.at("eve.key")]
                for wanted in ("optional", "required"):
                    with serving(authority, routes=routes % wanted) as (_, port):
                        assert alive(curl(authority, port, *ada))
                        assert alive(curl(authority, port)) == (wanted == "optional")
                        assert not alive(curl(authority, port, *eve))

    @test("tls: sslscan finds TLS 1.2 and 1.3 with strong ciphers only, and nothing else")
    def _():
        with Authority() as authority, serving(authority, *with_one(authority)) as (_, port):
            got = subprocess.run(["sslscan", "--no-colour", f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=120).stdout
            for version, is_on in (("SSLv2", False), ("SSLv3", False), ("TLSv1.0", False), ("TLSv1.1", False), ("TLSv1.2", True), ("TLSv1.3", True)):
                assert re.search(rf"^{re.escape(version)} +{'enabled' if is_on else 'disabled'}$", got, re.M), (version, got)
            assert re.search(r"^Session renegotiation not supported$", got, re.M), got
            assert re.search(r"^(Compression disabled|OpenSSL version does not support compression)$", got, re.M), got
            leaks = re.findall(r"^(.*)to heartbleed$", got, re.M)
            assert leaks and all("not vulnerable" in each for each in leaks), got
            ciphers = re.findall(r"^(?:Preferred|Accepted) +(TLSv\S+) +(\d+) bits +(\S+)", got, re.M)
            assert len(ciphers) >= 5, got
            for version, bits, name in ciphers:
                assert int(bits) >= 128, (version, bits, name)
                assert name.startswith("TLS_") if version == "TLSv1.3" else re.fullmatch(r"ECDHE-\S+-(GCM-SHA\d+|POLY1305)", name), (version, name)

    @test("tls: a client cannot renegotiate, and compression and early data are not spoken")
    def _():
        with Authority() as authority, serving(authority, *with_one(authority)) as (_, port):
            got = openssl("s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2", "-CAfile", authority.at("ca.pem"), stdin="R\n")
            assert "no renegotiation" in got.stderr, got.stderr
            got = openssl("s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3", "-CAfile", authority.at("ca.pem"))
            assert "Early data was not sent" in got.stdout and "Compression: NONE" in got.stdout, got.stdout

    @test("tls: a thousand clients that stop amid their handshake keep nobody from being served, and are let go in time")
    def _():
        routes = """
            limits: { handshake_time: 2s }
            tls: { certificates: [{ certificate: localhost.pem, key: localhost.key }] }
            """
        with Authority() as authority, serving(authority, routes=routes) as (_, port), contextlib.ExitStack() as held:
            idle = []
            for i in range(1000):
                idle.append(held.enter_context(socket.create_connection(("127.0.0.1", port))))
                if i % 2 == 0:
                    idle[-1].sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
            for _ in range(5):
                assert alive(curl(authority, port))
            for each in idle:
                each.settimeout(10)
                with contextlib.suppress(ConnectionResetError):
                    assert each.recv(100) == b"", "a client amid its handshake is told nothing but the end"
            assert alive(curl(authority, port))

    @test("tls: a certificate is replaced under load, by its file's change and by SIGHUP, without one failed request")
    def _():
        with Authority() as authority, serving(authority, *with_one(authority)) as (gateway, port):
            trusting = authority.trusting()
            stop, failures, answers = threading.Event(), [], [0]

            def load(keeps):
                connection = None
                while not stop.is_set():
                    try:
                        if connection is None:
                            connection = http.client.HTTPSConnection("localhost", port, context=trusting, timeout=20)
                        connection.request("GET", "/livez")
                        got = connection.getresponse()
                        assert got.read() == b'{"status":"alive"}'
                        answers[0] += 1
                        if not keeps:
                            connection.close()
                            connection = None
                    except Exception as e:
                        failures.append(e)
                        return

            def served():
                with socket.create_connection(("127.0.0.1", port)) as raw, trusting.wrap_socket(raw, server_hostname="localhost") as wire:
                    return dict(each[0] for each in wire.getpeercert()["subject"])["commonName"]

            crowd = [threading.Thread(target=load, args=(i < 2,)) for i in range(4)]
            for each in crowd:
                each.start()
            try:
                assert served() == "localhost"
                for i in range(1, 4):
                    authority.issue("next", "DNS:localhost", f"/CN=number {i}")
                    before = answers[0]
                    # Between the two the pair does not match: then it goes on with what it had.
                    os.rename(authority.at("next.key"), authority.at("localhost.key"))
                    os.rename(authority.at("next.pem"), authority.at("localhost.pem"))
                    if i == 2:
                        gateway.process.send_signal(signal.SIGHUP)
                    eventually(lambda: served() == f"number {i}", what=f"certificate {i} is served")
                    eventually(lambda: answers[0] > before + 50, what="requests go on")
            finally:
                stop.set()
                for each in crowd:
                    each.join(30)
            assert not failures, failures
            assert "shows CN=number 3 for localhost until " in gateway.log(), gateway.log()

    @test("tls: a certificate that is of no use is not taken, and the log says which and why")
    def _():
        routes = "tls: { certificates: [{ certificate: localhost.pem, key: localhost.key }] }\n"
        with Authority() as authority, serving(authority, routes=routes) as (gateway, port):
            authority.write("localhost.pem", "nonsense")
            eventually(lambda: "goes on with the routes it had" in gateway.log(), what="the bad certificate is told of")
            assert f'routes.yaml:1: "{authority.at("localhost.pem")}": this is no certificate in PEM' in gateway.log(), gateway.log()
            assert alive(curl(authority, port))

    @test("tls: --check and the start name a certificate that is missing, does not match or is encrypted, and what to do")
    def _():
        with Authority() as authority:
            authority.issue("other", "DNS:other")
            routes = authority.write("r.yaml", "tls:\n  certificates:\n    - certificate: localhost.pem\n      key: other.key\n")
            got = run("--check", "--routes", routes)
            assert got.returncode == 1 and re.search(r"r\.yaml:4: .*other\.key.*is not that of the certificate of CN=localhost", got.stderr), got
            locked = openssl("pkey", "-in", authority.at("localhost.key"), "-aes-128-cbc", "-passout", "pass:x")
            authority.write("locked.key", locked.stdout)
            got = run("--check", "--certificate", authority.at("localhost.pem"), "--certificate-key", authority.at("locked.key"))
            assert got.returncode == 1 and "the key is encrypted" in got.stderr and "openssl pkey" in got.stderr, got
            got = run("--check", "--certificate", authority.at("localhost.pem"), "--certificate-key", authority.at("localhost.key"))
            assert got.returncode == 0, got
            got = run("--https", "127.0.0.1:0", "--http", "none")
            assert got.returncode == 1 and "--https has no certificate; name one with --certificate" in got.stderr, got
            got = run("--http", "none")
            assert got.returncode == 2 and "nothing listens" in got.stderr, got
            got = run("--certificate", authority.at("localhost.pem"))
            assert got.returncode == 2 and "--certificate-key" in got.stderr, got

    @test("tls: --http none serves TLS only, and a certificate of flags stands before those of the routes")
    def _():
        with Authority() as authority:
            authority.issue("flagged", "DNS:flagged.example")
            routes = authority.write("r.yaml", "tls: { certificates: [{ certificate: localhost.pem, key: localhost.key }], minimum: 1.3 }\n")
            with Program(os.path.join(bin_folder, "waggle-gateway"), "--http", "none", "--https", "127.0.0.1:0", "--routes", routes, "--broker",
                         f"ipc://{authority.folder}/broker", "--certificate", authority.at("flagged.pem"), "--certificate-key",
                         authority.at("flagged.key")) as gateway:
                assert gateway.value("http") == "none"
                port = int(gateway.value("https").rsplit(":", 1)[1])
                assert alive(curl(authority, port, host="flagged.example"))
                assert curl(authority, port, host="localhost")[0] == 60
                assert curl(authority, port, "--tls-max", "1.2", host="flagged.example")[0] == 35

    @test("tls: with redirect plain requests are sent to https, but not what load balancers ask")
    def _():
        routes = "tls: { certificates: [{ certificate: localhost.pem, key: localhost.key }], redirect: true }\n"
        with Authority() as authority, serving(authority, routes=routes) as (gateway, port):
            connection = http.client.HTTPConnection(gateway.value("http"), timeout=20)

            def ask(path, **headers):
                connection.request("POST" if "x" in path else "GET", path, headers=headers)
                got = connection.getresponse()
                got.read()
                return got.status, got.headers.get("Location")
            assert ask("/x/y?a=b%20c&d", Host="shop.example:8080") == (308, f"https://shop.example:{port}/x/y?a=b%20c&d")
            assert ask("/", Host="[::1]:80") == (308, f"https://[::1]:{port}/")
            assert ask("/livez") == (200, None)
            assert ask("/readyz")[0] in (200, 503)
            got = subprocess.run(["curl", "-sS", "-L", "--cacert", authority.at("ca.pem"), f"http://localhost:{gateway.value('http').rsplit(':', 1)[1]}/openapi.json"],
                                 capture_output=True, text=True, timeout=30)
            assert '"openapi"' in got.stdout, got
            connection.close()
