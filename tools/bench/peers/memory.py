"""Resident memory of what waits for work."""
import resource
import socket
import time

from . import calls, over_http
from .calls import System
from .processes import Failed

WORKERS = 10_000
#: Processes that they are in, which come one after the other: what libzmq's heartbeats cost grows with the square of a process's connections (a timer
#: is cancelled by walking all of them), and the broker's is what is measured.
CROWDS = 10
DESCRIPTORS = WORKERS + 1000


class Idle(System):
    """One process of a system that has been started, and asked nothing."""

    def __init__(self, name, of, label):
        super().__init__(of.bin)
        self.name = self.family = name
        self.of, self.label = of, label

    def missing(self):
        return self.of.missing()

    def megabytes(self, group):
        address = self.of.start(group, None)
        if isinstance(self.of, over_http.HttpSystem):
            group.all[-1].wait_for(lambda: over_http.answer_of(address))
        return settled(next(each for each in group.all if each.label == self.label))


class IdleBroker(calls.Waggle):
    name = family = "waggle-broker, nobody connected"
    needs = (("waggle-broker", "this build"),)

    def megabytes(self, group):
        return settled(self.start_broker(group))


class Crowded(calls.Waggle):
    name = family = f"waggle-broker, {WORKERS:,} idle workers"

    def missing(self):
        return super().missing() or too_few_descriptors()

    def megabytes(self, group):
        broker = self.start_broker(group)
        for i in range(CROWDS):
            workers = group.start(f"workers-{i}", [self.program("waggle-bench-calls-waggle"), "crowd", self.address, WORKERS // CROWDS, 1, 16])
            try:
                workers.ready(20)
            except Failed as why:
                raise Failed(f"with {i * WORKERS // CROWDS:,} workers connected ({broker.megabytes('VmRSS'):.0f} MB), "
                             f"the next do not join in 20 s: {why}") from None
        out = settled(broker)
        group.check()
        return out


class CrowdedNats(calls.Nats):
    family = f"nats-server, {WORKERS:,} idle subscribers"

    def __init__(self, bin_folder):
        super().__init__(bin_folder, "loop")
        self.name = self.family

    def missing(self):
        return super().missing() or too_few_descriptors()

    def megabytes(self, group):
        host, port = calls.start_nats(group).removeprefix("nats://").split(":")
        held = []
        try:
            for _ in range(WORKERS):
                made = socket.create_connection((host, int(port)))
                made.sendall(b'CONNECT {"verbose":false}\r\nSUB bench.echo workers 1\r\nPING\r\n')
                held.append(made)
            for each in held:
                got = b""
                while b"PONG" not in got:
                    more = each.recv(4096)
                    if not more:
                        raise Failed(group.all[0].complaint("has closed a connection"))
                    got += more
            return settled(group.all[0])
        finally:
            for each in held:
                each.close()


class IdleNats(calls.Nats):
    family = "nats-server, nobody connected"

    def __init__(self, bin_folder):
        super().__init__(bin_folder, "loop")
        self.name = self.family

    def megabytes(self, group):
        calls.start_nats(group)
        return settled(group.all[0])


def too_few_descriptors():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit != resource.RLIM_INFINITY and limit < DESCRIPTORS:
        return f"{DESCRIPTORS:,} descriptors are needed, and `ulimit -Hn` allows {limit:,}"
    return None


def raise_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def settled(process):
    """Once it has not grown or shrunk for half a second."""
    last, since = process.megabytes("VmRSS"), time.monotonic()
    give_up = since + 20
    while time.monotonic() < min(since + 0.5, give_up):
        time.sleep(0.05)
        now = process.megabytes("VmRSS")
        if abs(now - last) > 0.1:
            last, since = now, time.monotonic()
    return last


def systems(bin_folder, cache):
    return [
        IdleBroker(bin_folder), Idle("waggle-gateway, one service", over_http.Waggle(bin_folder), "gateway"), Crowded(bin_folder), IdleNats(bin_folder),
        CrowdedNats(bin_folder), Idle("nginx as a proxy, all its processes", over_http.Nginx(bin_folder), "gateway"),
        Idle("Nest + Fastify, gateway", over_http.Nest(bin_folder, cache, "fastify"), "gateway"),
        Idle("Nest + Express, gateway", over_http.Nest(bin_folder, cache, "express"), "gateway"),
        Idle("Moleculer, gateway", over_http.Moleculer(bin_folder, cache), "gateway")]


def measure(system, group):
    raise_descriptors()
    return {"megabytes": system.megabytes(group)}
