"""GET /hello?name=Ada over HTTP, asked by wrk: through a gateway to a service, each a process of its own."""
import http.client
import math
import os
import shutil
import subprocess

from . import calls
from .calls import System, numbers_in
from .processes import Failed, Others, free_ports

HERE = os.path.dirname(os.path.abspath(__file__))
PATH = "/hello?name=Ada"
WRK = ("wrk", "Debian's wrk")


class HttpSystem(System):
    def start(self, group, scenario):
        """Starts everything, and returns where it listens."""
        raise NotImplementedError


class Waggle(HttpSystem):
    """The example service as it is: its handler is quick."""
    name = family = "waggle"
    needs = (WRK, ("waggle-broker", "this build"), ("waggle-gateway", "this build"), ("waggle-hello", "this build"))

    def start(self, group, scenario):
        broker = group.start("broker", [self.program("waggle-broker")] + calls.BROKER_FLAGS).ready()[0]["commands"]
        group.start("service", [self.program("waggle-hello"), "--broker", broker]).ready()
        return group.start("gateway", [self.program("waggle-gateway"), "--broker", broker, "--http", "127.0.0.1:0"]).ready()[0]["http"]


class WaggleInOne(HttpSystem):
    name = family = "waggle, one process"
    needs = (WRK, ("waggle-hello", "this build"))

    def start(self, group, scenario):
        return group.start("service", [self.program("waggle-hello"), "--http", "127.0.0.1:0"]).ready()[0]["http"]


class Front(HttpSystem):
    name = family = "front alone"
    needs = (WRK, ("waggle-bench-front", "this build"))

    def start(self, group, scenario):
        return group.start("gateway", [self.program("waggle-bench-front"), 2]).ready()[0]["http"]


class Nginx(HttpSystem):
    name = "nginx → C++ hello"
    family = "nginx"
    needs = (WRK, ("nginx", "Debian's nginx-light"), ("waggle-bench-front", "this build"))

    def start(self, group, scenario):
        service = group.start("service", [self.program("waggle-bench-front"), 2]).ready()[0]["http"]
        port, = free_ports(1)
        path = os.path.join(group.folder, "nginx.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"""
worker_processes 2;
daemon off;
pid {group.folder}/pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {group.folder}/a; proxy_temp_path {group.folder}/b; fastcgi_temp_path {group.folder}/c;
  uwsgi_temp_path {group.folder}/d; scgi_temp_path {group.folder}/e;
  upstream hello {{ server {service}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} reuseport backlog=4096;
    location / {{ proxy_pass http://hello; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
""")
        group.start("gateway", [shutil.which("nginx"), "-p", group.folder, "-c", path])
        return f"127.0.0.1:{port}"


class FromNpm(HttpSystem):
    """What npm installs, once, into a folder outside of the sources."""

    package = ""

    def __init__(self, bin_folder, cache):
        super().__init__(bin_folder)
        self.folder = os.path.join(cache, self.package)

    def missing(self):
        for program, of in (WRK, ("node", "Debian's nodejs"), ("npm", "Debian's npm")):
            if not shutil.which(program):
                return f"there is no {program} ({of})"
        return self.install()

    def install(self):
        """Why it cannot be; None if it is there."""
        source = os.path.join(HERE, self.package)
        lock = os.path.join(source, "package-lock.json")
        done = os.path.join(self.folder, "installed")
        os.makedirs(self.folder, exist_ok=True)
        for each in os.listdir(source):
            if each != "node_modules":
                shutil.copy(os.path.join(source, each), self.folder)
        with open(lock, encoding="utf-8") as file:
            wanted = file.read()
        if os.path.exists(done):
            with open(done, encoding="utf-8") as file:
                if file.read() == wanted:
                    return None
        made = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=self.folder,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if made.returncode != 0:
            return f"npm cannot install it into {self.folder}: {' '.join(made.stdout.split()[-40:])}"
        with open(done, "w", encoding="utf-8") as file:
            file.write(wanted)
        return None

    def node(self, group, label, arguments):
        return group.start(label, [shutil.which("node")] + arguments, environment={"NODE_ENV": "production"}, folder=self.folder)


class Nest(FromNpm):
    package = "nest"

    def __init__(self, bin_folder, cache, framework):
        super().__init__(bin_folder, cache)
        self.framework = framework
        self.name = self.family = f"Nest + {framework.capitalize()}"

    def start(self, group, scenario):
        port, service = free_ports(2)
        self.node(group, "service", ["service.js", service]).ready()
        self.node(group, "gateway", ["gateway.js", self.framework, port, service]).ready()
        return f"127.0.0.1:{port}"


class Moleculer(FromNpm):
    name = family = "Moleculer"
    package = "moleculer"

    def start(self, group, scenario):
        port, gateway, service = free_ports(3)
        self.node(group, "service", ["node.js", "service", service, gateway]).ready()
        self.node(group, "gateway", ["node.js", "gateway", port, gateway, service]).ready()
        return f"127.0.0.1:{port}"


def answer_of(address):
    """The answer to one request; none if it is not a good one."""
    try:
        connection = http.client.HTTPConnection(address, timeout=2)
        connection.request("GET", PATH)
        got = connection.getresponse()
        body = got.read().decode()
        connection.close()
        return body if got.status == 200 and '"message":"hello' in body else None
    except (OSError, http.client.HTTPException, ValueError):
        return None


def with_wrk(address, connections, seconds):
    """What wrk has counted. It takes whole seconds."""
    arguments = [shutil.which("wrk"), "-t1", f"-c{connections}", f"-d{max(1, math.ceil(seconds))}s", "-s", os.path.join(HERE, "wrk.lua")]
    made = subprocess.run(arguments + [f"http://{address}{PATH}"], capture_output=True, text=True, timeout=seconds + 30, check=False)
    line = next((each for each in made.stdout.splitlines() if each.startswith("counted ")), None)
    if line is None:
        raise Failed(f"wrk: {made.stdout}{made.stderr}")
    return numbers_in(line.removeprefix("counted "))


def measure(system, scenario, group, warm_up, seconds):
    """One run: its figures by name. CPU seconds are those of all but wrk."""
    address = system.start(group, scenario)
    group.all[-1].wait_for(lambda: answer_of(address))
    with_wrk(address, scenario.connections, warm_up)
    before = {each.label: each.cpu_seconds() for each in group.all}
    begun = os.times()
    others = Others()
    out = with_wrk(address, scenario.connections, seconds)
    after = {each.label: each.cpu_seconds() for each in group.all}
    ended = os.times()
    wrk = ended.children_user + ended.children_system - begun.children_user - begun.children_system
    out["others"] = others.share(sum(after.values()) - sum(before.values()) + wrk)
    group.check()
    if answer_of(address) is None:
        raise Failed(group.all[-1].complaint("does not answer any more"))
    good = out["calls"] - out["failed"]
    if good <= 0:
        raise Failed(group.all[-1].complaint("no request has succeeded"))
    out["rate"] = good / out["seconds"]
    out["peaks"] = {each.label: each.megabytes("VmHWM") for each in group.all}
    out["cpus"] = {label: (after[label] - before[label]) * 1e6 / good for label in before}
    out["cpu"] = sum(out["cpus"].values())
    out["wrk"] = wrk * 1e6 / good
    return out
