"""Calls: a client, what stands between, and a worker that echoes, each a process of its own."""
import json
import os
import shutil
import subprocess

from .processes import Failed, Others, read


BROKER_FLAGS = ["--data", "none"] + [word for each in ("commands", "events-in", "events-out") for word in ("--" + each, "tcp://127.0.0.1:*")]


class System:
    """Something that calls are made through."""

    name = ""
    family = ""  # what the aims call it; several ways to use one thing are one family
    needs = ()   # programs of build/bin and of PATH, with what they come from

    def __init__(self, bin_folder):
        self.bin = bin_folder

    def missing(self):
        for program, of in self.needs:
            if not (os.access(self.program(program), os.X_OK) or shutil.which(program)):
                return f"there is no {program} ({of})"
        return None

    def program(self, name):
        return os.path.join(self.bin, name)

    def start(self, group, scenario):
        """Starts everything but the client, and returns the client's arguments, of which LOAD stands for the load."""
        raise NotImplementedError


class Waggle(System):
    name = family = "waggle"
    needs = (("waggle-broker", "this build"), ("waggle-bench-calls-waggle", "this build"))

    def start_broker(self, group):
        broker = group.start("broker", [self.program("waggle-broker")] + BROKER_FLAGS)
        self.address = broker.ready()[0]["commands"]
        return broker

    def start(self, group, scenario):
        self.start_broker(group)
        worker = group.start("worker", [self.program("waggle-bench-calls-waggle"), "worker", "--broker", self.address, "--threads", "1",
                                        "--slots", max(2, scenario.in_flight)])
        worker.ready()
        return [self.program("waggle-bench-calls-waggle"), "client", self.address, "LOAD"]

    def counters(self):
        """Whatever the broker counts: nothing if it does not say."""
        try:
            said = subprocess.run([self.program("waggle"), "--broker", self.address, "stats", "--json"], capture_output=True, timeout=5, check=True).stdout
            return json.loads(said).get("counters", {})
        except (OSError, ValueError, AttributeError, subprocess.SubprocessError):
            return {}


class WaggleCrowd(Waggle):
    """Many commands, shared by many workers that are one process and one thread: so that what grows is the broker's part."""

    needs = (("waggle-broker", "this build"), ("waggle-bench-calls-waggle", "this build"))

    def __init__(self, bin_folder, name, workers, commands, called):
        super().__init__(bin_folder)
        self.name = self.family = name
        self.workers, self.commands, self.called = workers, commands, called

    def start(self, group, scenario):
        self.start_broker(group)
        program = self.program("waggle-bench-calls-waggle")
        group.start("worker", [program, "crowd", self.address, self.workers, self.commands, max(2, scenario.in_flight)]).ready(60)
        return [program, "client", self.address, "LOAD", self.called]


class Proxy(System):
    family = "zmq_proxy"
    needs = (("waggle-bench-calls-proxy", "this build"),)

    def __init__(self, bin_folder, how):
        super().__init__(bin_folder)
        self.how = how
        self.name = {"lean": "zmq_proxy, lean", "book": "zmq_proxy, by the book"}[how]

    def start(self, group, scenario):
        program = self.program("waggle-bench-calls-proxy")
        front, back = group.start("broker", [program, "proxy"]).ready()[1]
        group.start("worker", [program, "worker", back, self.how]).ready()
        return [program, "client", front, "LOAD", self.how]


class ProxyCrowd(Proxy):
    """As many workers as a crowd of waggle's, for what a message for each call costs by itself."""

    def __init__(self, bin_folder, workers):
        super().__init__(bin_folder, "lean")
        self.workers = workers
        self.name = self.family = f"zmq_proxy, {workers:,} workers"

    def start(self, group, scenario):
        program = self.program("waggle-bench-calls-proxy")
        front, back = group.start("broker", [program, "proxy"]).ready()[1]
        group.start("worker", [program, "crowd", back, self.workers]).ready()
        return [program, "client", front, "LOAD", self.how]


class Nats(System):
    family = "NATS"
    needs = (("nats-server", "Debian's nats-server"), ("waggle-bench-calls-nats", "libnats-dev was not there when this was configured"))
    server = "nats-server"

    def __init__(self, bin_folder, how):
        super().__init__(bin_folder)
        self.how = how
        self.name = {"asap": "NATS, sent at once", "buffered": "NATS, buffered", "loop": "NATS, event loop"}[how]

    def start(self, group, scenario):
        address = start_nats(group)
        program = self.program("waggle-bench-calls-nats")
        group.start("worker", [program, "worker", address, self.how]).ready()
        return [program, "client", address, "LOAD", self.how]


def start_nats(group):
    with open(os.path.join(group.folder, "nats.conf"), "w", encoding="utf-8") as file:
        file.write(f'listen: "127.0.0.1:-1"\nports_file_dir: "{group.folder}"\n')
    server = group.start("broker", [shutil.which("nats-server"), "-c", os.path.join(group.folder, "nats.conf")])

    def listens():
        try:
            return json.loads(read(os.path.join(group.folder, f"nats-server_{server.pid}.ports")))["nats"][0]
        except (ValueError, LookupError):
            return None
    return server.wait_for(listens)


class Grpc(System):
    name = family = "gRPC"
    needs = (("waggle-bench-calls-grpc", "libgrpc++-dev and protobuf-compiler-grpc were not there when this was configured"),)

    def start(self, group, scenario):
        program = self.program("waggle-bench-calls-grpc")
        address = group.start("worker", [program, "worker"]).ready()[1][0]
        return [program, "client", address, "LOAD"]


def numbers_in(line):
    out = {}
    for word in line.split():
        name, _, value = word.partition("=")
        try:
            out[name] = float(value)
        except ValueError:
            raise Failed(f"the client said: {line}") from None
    return out


def measure(system, scenario, group, warm_up, seconds):
    """One run: its figures by name."""
    arguments = system.start(group, scenario)
    at = arguments.index("LOAD")
    arguments[at:at + 1] = [scenario.in_flight, scenario.payload_bytes, warm_up, seconds]
    client = group.start("client", arguments, talks=True)
    patience = warm_up + seconds + 20

    def expect(what):
        if (line := client.line(patience)) != what:
            raise Failed(client.complaint(f"said {line!r} instead of {what!r}"))
    counters = getattr(system, "counters", dict)
    expect("begin")
    others = Others()
    before = {each.label: each.cpu_seconds() for each in group.all}
    expect("end")
    after = {each.label: each.cpu_seconds() for each in group.all}
    busy = others.share(sum(after.values()) - sum(before.values()))
    out = numbers_in(client.line(patience))
    out["others"] = busy
    group.check()
    out["peaks"] = {each.label: each.megabytes("VmHWM") for each in group.all}
    if out["calls"] == 0:
        raise Failed(client.complaint("no call has succeeded"))
    out["cpus"] = {label: (after[label] - before[label]) * 1e6 / out["calls"] for label in before}
    out["cpu"] = sum(out["cpus"].values())
    counted = counters()
    if counted.get("bundles"):
        out["bundle"] = counted.get("frames", 0) / counted["bundles"]
    return out
