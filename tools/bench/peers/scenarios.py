"""What is measured, and what it should come to (the aims of issue 7)."""
from . import calls, memory, over_http, tables
from .tables import Aim


class Calls:
    unit = "calls"
    ours = "waggle"  # what the others are set beside
    rounds_max = 1000
    note = ("Three processes (gRPC: two, for nothing is between client and server): one client with one connection and one thread that begins the calls, "
            "the broker, one worker that echoes.")

    def __init__(self, name, title, in_flight, payload_bytes, aims):
        self.name, self.title, self.in_flight, self.payload_bytes, self.aims = name, title, in_flight, payload_bytes, aims

    def systems(self, bin_folder, _cache):
        return [calls.Waggle(bin_folder), calls.Proxy(bin_folder, "lean"), calls.Proxy(bin_folder, "book"), calls.Nats(bin_folder, "loop"),
                calls.Nats(bin_folder, "buffered"), calls.Nats(bin_folder, "asap"), calls.Grpc(bin_folder)]

    def measure(self, system, group, warm_up, seconds):
        return calls.measure(system, self, group, warm_up, seconds)

    def table(self, results, markdown):
        return tables.load_table(results, markdown)


class Commands(Calls):
    """What many commands and workers cost. What waggle is beside is itself, and libzmq by itself with as many workers."""

    ours = "one command, one worker"
    note = ("The workers are one process with one thread and a connection for each; commands are called one after the other. With 1,000 calls in flight "
            "at 1,000 workers each call is a message of its own on both of a worker's ways: zmq_proxy with as many workers shows what that costs by itself.")

    def systems(self, bin_folder, _cache):
        return [calls.WaggleCrowd(bin_folder, self.ours, 1, 1, 1),
                calls.WaggleCrowd(bin_folder, "10,000 commands, 4 workers, all are called", 4, 10_000, 10_000),
                calls.WaggleCrowd(bin_folder, "one command, 1,000 workers", 1000, 1, 1),
                calls.WaggleCrowd(bin_folder, "10,000 commands, 1,000 workers, one is called", 1000, 10_000, 1),
                calls.WaggleCrowd(bin_folder, "10,000 commands, 1,000 workers, all are called", 1000, 10_000, 10_000),
                calls.ProxyCrowd(bin_folder, 1000)]


class Http:
    unit = "requests"
    ours = "waggle"
    rounds_max = 1000
    note = "`GET /hello?name=Ada`, asked by `wrk -t1`, whose own CPU seconds are not counted here."

    def __init__(self, name, title, connections, aims):
        self.name, self.title, self.connections, self.aims = name, title, connections, aims

    def systems(self, bin_folder, cache):
        return [over_http.Waggle(bin_folder), over_http.WaggleInOne(bin_folder), over_http.Front(bin_folder),
                over_http.Nginx(bin_folder), over_http.Nest(bin_folder, cache, "fastify"), over_http.Nest(bin_folder, cache, "express"),
                over_http.Moleculer(bin_folder, cache)]

    def measure(self, system, group, warm_up, seconds):
        return over_http.measure(system, self, group, warm_up, seconds)

    def table(self, results, markdown):
        return tables.load_table(results, markdown)


class Memory:
    name, title = "memory", "Memory of what waits"
    unit = "runs"
    ours = "waggle"
    note = "What /proc says is resident (VmRSS), once it has settled."
    rounds_max = 3  # it hardly differs
    aims = [Aim("idle broker under 15 MB", "megabytes", limit=15, ours="waggle-broker, nobody connected"),
            Aim("idle gateway under 25 MB", "megabytes", limit=25, ours="waggle-gateway, one service"),
            Aim("10,000 idle workers connected under 300 MB", "megabytes", limit=300, ours=memory.Crowded.name)]

    def systems(self, bin_folder, cache):
        return memory.systems(bin_folder, cache)

    def measure(self, system, group, _warm_up, _seconds):
        return memory.measure(system, group)

    def table(self, results, markdown):
        return tables.memory_table(results, markdown)


def at_least(what, figure, family, factor, ours="waggle"):
    return Aim(what, figure, family, factor, ours=ours, at_least=True)


ALL = [
    Calls("calls-1000", "Calls, 1,000 in flight, 64 bytes", 1000, 64, [
        Aim("CPU a sixth", "cpu", "NATS", 1 / 6), Aim("CPU a sixth", "cpu", "zmq_proxy", 1 / 6), Aim("CPU a tenth", "cpu", "gRPC", 1 / 10),
        at_least("rate 5 ×", "rate", "NATS", 5), at_least("rate 5 ×", "rate", "zmq_proxy", 5)]),
    Calls("calls-64", "Calls, 64 in flight, 64 bytes", 64, 64, [
        Aim("CPU 40 %", "cpu", "NATS", 0.4), Aim("CPU half", "cpu", "zmq_proxy", 0.5), at_least("rate 3 ×", "rate", "NATS", 3)]),
    Calls("calls-1", "Calls, one at a time, 64 bytes", 1, 64, [
        Aim("p50 not above", "p50", "zmq_proxy", 1), Aim("p99 not above", "p99", "zmq_proxy", 1), Aim("p50 half", "p50", "NATS", 0.5),
        Aim("p99 half", "p99", "NATS", 0.5)]),
    Calls("calls-16k", "Calls, 64 in flight, 16 KiB", 64, 16 * 1024, [at_least("rate 1.5 ×", "rate", "NATS", 1.5)]),
    Http("http-64", "HTTP hello, 64 connections", 64, [
        at_least("rate 5 ×", "rate", "Nest + Fastify", 5), at_least("rate 15 ×", "rate", "Nest + Express", 15),
        at_least("rate 60 %", "rate", "front alone", 0.6), Aim("CPU a sixth", "cpu", "Nest + Fastify", 1 / 6)]),
    Http("http-1", "HTTP hello, one connection", 1, [
        Aim("p50 not above", "p50", "Nest + Fastify", 1), Aim("p50 of one process half", "p50", "Nest + Fastify", 0.5, ours="waggle, one process")]),
    Commands("commands", "Many commands and workers: waggle, 1,000 in flight, 64 bytes", 1000, 64, [
        at_least("rate within 10 %", "rate", "one command, one worker", 0.9, "10,000 commands, 1,000 workers, one is called"),
        at_least("rate within 10 %", "rate", "one command, one worker", 0.9, "10,000 commands, 1,000 workers, all are called")]),
    Memory(),
]
