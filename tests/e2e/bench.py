"""End-to-end tests of `waggle bench`: what it counts adds up, and its forms are what BENCH.md says."""
import csv
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile

from network import REPOSITORY, Network, eventually

SHORT = ("--duration", "500ms", "--warm-up", "100ms")


def define(test, bin_folder, completed):
    """Adds the tests to run.py's."""

    def served(net, *flags):
        return net.start("waggle", "bench", "serve", "--broker", net.endpoint, *flags)

    def measured(net, *arguments, code=0):
        got, out, err = net.cli("bench", *arguments, "--json")
        assert got == code, (arguments, got, out, err)
        return json.loads(out)

    def documented(*readme):
        with open(os.path.join(REPOSITORY, *readme), encoding="utf-8") as file:
            return file.read()

    def rising(figures, prefix=""):
        names = [prefix + each for each in ("min_us", "p50_us", "p90_us", "p99_us", "p999_us", "max_us")]
        times = [figures[each] for each in names]
        assert times == sorted(times) and times[0] > 0, times
        assert times[0] <= figures[prefix + "mean_us"] <= times[-1], figures

    @test("bench: what a closed load counts adds up, of one caller and of several")
    def _():
        with Network(bin_folder) as net:
            ready = served(net).ready
            assert "command=bench.echo" in ready and net.endpoint in ready, ready
            for callers in ("1", "3"):
                got = measured(net, "calls", "bench.echo", "--size", "64", "--in-flight", "8", "--callers", callers, *SHORT)
                assert got["what"] == "calls" and got["command"] == "bench.echo" and got["payload_bytes"] == 64, got
                assert got["callers"] == int(callers) and got["in_flight"] == 8, got
                assert got["failed"] == 0 and got["failed_by_status"] == {} and got["ok"] > 0, got
                assert got["measured_s"] == 0.5 and abs(got["calls_per_s"] - got["ok"] / 0.5) < 0.01, got
                assert got["due"] == got["not_begun"] == got["not_ended"] == 0, got
                assert abs(got["cpu_s_per_million"] - got["cpu_s"] / got["ok"] * 1e6) <= 0.0006 / got["ok"] * 1e6, got
                rising(got)
                # Eight at a time cannot have taken longer together than eight times as long as there was.
                assert got["ok"] * got["mean_us"] / 1e6 < 8 * (0.5 + got["max_us"] / 1e6) * 1.01, got

    @test("bench: an open load calls as often as it says, for as long as it says")
    def _():
        with Network(bin_folder) as net:
            served(net)
            for flags in ((), ("--callers", "3")):
                got = measured(net, "calls", "bench.echo", "--size", "64", "--rate", "200", *flags, *SHORT)
                assert got["rate_per_s"] == 200 and got["due"] == 100, got
                # Behind the warm-up a few may end that were due in it.
                assert 100 <= got["ok"] + got["failed"] + got["not_begun"] <= 120 and got["not_ended"] == 0, got
                assert got["failed"] == 0, got
                rising(got)

    @test("bench: a rate that the network does not keep up with is told")
    def _():
        with Network(bin_folder) as net:
            served(net)
            code, out, err = net.cli("bench", "calls", "bench.echo", "--rate", "10000000", "--in-flight", "10", "--json", *SHORT)
            got = json.loads(out)
            assert code == 0 and got["due"] == 5_000_000 and got["not_begun"] > 0 and "not kept up with" in err, (code, out, err)

    @test("bench: the figures of JSON, CSV and BENCH.md are the same, and a row of CSV is one round")
    def _():
        names = set(re.findall(r"`([a-z0-9_]+)`", documented("tools", "waggle", "BENCH.md")))
        with Network(bin_folder) as net, net.start("waggle", "bench", "serve", "--broker", net.endpoint, "--command", "bench.other", "--threads", "2"):
            for what in (("calls", "bench.other"), ("events", "bench.tick")):
                figures = measured(net, *what, *SHORT)
                assert set(figures) <= names, set(figures) - names
                code, out, err = net.cli("bench", *what, "--csv", "--rounds", "2", *SHORT)
                rows = list(csv.DictReader(io.StringIO(out)))
                assert code == 0 and list(rows[0]) == list(figures), (out, err)
                assert [row["round"] for row in rows] == ["1", "2"] and all(int(row["ok"]) > 0 for row in rows), rows
                code, out, err = net.cli("bench", *what, "--csv", "--no-header", *SHORT)
                assert code == 0 and out.startswith(what[0] + ",") and len(out.splitlines()) == 1, (out, err)

    @test("bench: calls that fail are counted by status, and if none succeeds the exit code is that status's")
    def _():
        with Network(bin_folder) as net:
            net.hello()
            for arguments, status, code in ((("hello.say", "{}"), "INVALID_ARGUMENT", 13), (("hello.sign",), "UNIMPLEMENTED", 22)):
                eventually(lambda: net.cli("call", *arguments)[0] == code, what="the broker's first moments are over")
                got, out, err = net.cli("bench", "calls", *arguments, "--in-flight", "2", "--json", *SHORT)
                figures = json.loads(out)
                assert got == code and status in err, (got, out, err)
                assert figures["ok"] == 0 and figures["failed"] > 0 and figures["failed_by_status"] == {status: figures["failed"]}, figures
            code, out, err = net.cli("bench", "calls", "hello.say", '{"name":"Ada"}', "--in-flight", "2", *SHORT)
            assert code == 0 and out.startswith("hello.say: 1 caller, 2 in flight") and "CALLS/S" in out and "FAILED" not in out, (out, err)
            for wrong in (("calls",), ("calls", "x", "{}", "--size", "1"), ("calls", "x", "--rate", "0"), ("calls", "x", "--csv", "--json"),
                          ("calls", "x", "--duration", "0s"), ("calls", "a b"), ("events", "a.*"), ("calls", "x", "--size", "4194305"), ()):
                code, out, err = net.cli("bench", *wrong)
                assert code == 2 and out == "" and err != "", (wrong, code, out, err)
            code, out, err = net.cli("bench", "calls", "x", "--budget", "300ms", env={"WAGGLE_BROKER": "tcp://127.0.0.1:1"})
            assert code == 24 and "tcp://127.0.0.1:1" in err, (code, out, err)

    @test("bench: events are counted by their receipts, and at every subscriber")
    def _():
        with Network(bin_folder) as net:
            got = measured(net, "events", "bench.tick", "--size", "128", "--subscribers", "2", "--rate", "200", *SHORT)
            assert got["what"] == "events" and got["topic"] == "bench.tick" and got["payload_bytes"] == 128, got
            assert got["due"] == 100 and 100 <= got["ok"] <= 120 and got["kept"] == got["ok"], got
            assert got["subscribers"] == 2 and got["expected"] == got["received"] == 2 * 120, got  # of the warm-up, too
            rising(got)
            rising(got, "delay_")
            got = measured(net, "events", "bench.tick", "--no-receipt", "--subscribers", "1", "--rate", "200", *SHORT)
            assert got["receipts"] == 0 and got["in_flight"] == 0 and got["kept"] == 0, got
            assert got["expected"] == got["received"] == 120, got
            rising(got, "delay_")
            closed = measured(net, "events", "bench.tick", '{"n":1}', "--in-flight", "4", "--subscribers", "1", *SHORT)
            assert closed["failed"] == 0 and closed["kept"] == closed["ok"] > 0, closed
            assert closed["received"] == closed["expected"] >= closed["ok"], closed
            # Each went out with the payload that was given.
            code, out, err = net.cli("sub", "bench.tick", "--last", "1", "--count", "1", "--json")
            assert code == 0 and json.loads(out)["payload"] == {"n": 1}, (code, out, err)

    @test("bench: Ctrl-C ends a run early, and what was measured until then is printed")
    def _():
        with Network(bin_folder) as net:
            served(net)
            for flags in ((), ("--rate", "500")):
                # A round of its own shows that calls are on their way.
                before = measured_calls(net)
                run = subprocess.Popen([os.path.join(bin_folder, "waggle"), "bench", "calls", "bench.echo", "--duration", "10m", "--warm-up", "0ms", "--json", *flags],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
                                       env={**os.environ, "WAGGLE_BROKER": net.endpoint})
                try:
                    eventually(lambda: measured_calls(net) > before + 200, what="calls are answered")
                    run.send_signal(signal.SIGINT)
                    out, err = run.communicate(timeout=20)
                finally:
                    if run.poll() is None:
                        run.kill()
                        run.communicate()
                figures = json.loads(out)
                assert run.returncode == 0, (run.returncode, out, err)
                assert figures["ok"] > 0 and figures["failed"] == 0 and 0 < figures["measured_s"] < 600, figures

    def measured_calls(net):
        code, out, err = net.cli("stats", "bench.", "--json")
        assert code == 0, (out, err)
        return sum(each["calls"] for each in json.loads(out)["commands"])

    @test("bench: the distribution is written for HdrHistogram's tools, and a file that cannot be is told")
    def _():
        with Network(bin_folder) as net:
            served(net)
            path = os.path.join(net.data.name, "times.hgrm")
            got = measured(net, "calls", "bench.echo", "--histogram", path, *SHORT)
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
            assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"], lines[0]
            assert f"Total count    = {got['ok']:12d}]" in lines[-2], (lines[-3:], got)
            code, _out, err = net.cli("bench", "calls", "bench.echo", "--histogram", "/no/such/folder/x", *SHORT)
            assert code == 1 and "/no/such/folder/x" in err, (code, err)

    @test("bench: every command line of README.md and BENCH.md does what it says")
    def _():
        lines = [each.split("#")[0].strip() for readme in (("README.md",), ("tools", "waggle", "BENCH.md"))
                 for each in documented(*readme).splitlines() if each.startswith("waggle bench ") and "serve" not in each]
        assert len(lines) >= 8, lines
        with Network(bin_folder) as net:
            served(net)
            net.hello()
            for line in lines:
                code, out, err = net.cli(*shlex.split(line)[1:], *SHORT)
                assert code == 0 and "/S" in out and "FAILED" not in out, (line, code, out, err)

    @test("bench: compare measures waggle beside its peers, names those that it leaves out, and writes all runs as JSON and the tables as Markdown")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            numbers, page = os.path.join(folder, "runs.json"), os.path.join(folder, "tables.md")
            got = subprocess.run([os.path.join(REPOSITORY, "tools", "bench", "compare"), "--no-build", "--build", os.path.dirname(bin_folder), "--only", "calls-64",
                                  "--peers", "zmq,gRPC", "--rounds", "2", "--seconds", "0.3", "--warm-up", "0.1", "--json", numbers,
                                  "--markdown", page, "--cache", folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
            assert got.returncode == 0, (got.stdout, got.stderr)
            with open(numbers, encoding="utf-8") as file:
                runs = json.load(file)["scenarios"]["calls-64"]
            with open(page, encoding="utf-8") as file:
                tables = file.read()
            for system in ("waggle", "zmq_proxy, lean"):
                assert len(runs[system]) == 2, runs
                for each in runs[system]:
                    assert each["rate"] > 0 and each["p50"] <= each["p99"] and each["cpu"] > 0, each
                assert f"| {system} |" in tables and system in got.stdout, tables
            assert "gRPC" in runs or "left out: gRPC" in got.stdout, got.stdout
            assert "NATS" not in runs and "CPU half" in tables, tables

    @test("bench: compare says of an aim whether it is met, or by how much not")
    def _():
        sys.path.insert(0, os.path.join(REPOSITORY, "tools", "bench"))
        try:
            from peers import tables
        finally:
            sys.path.pop(0)

        class Scenario:
            ours = "waggle"

        class System:
            def __init__(self, name):
                self.name = self.family = name

        results = tables.Results(Scenario)
        for rate, cpu in ((100, 9), (300, 3), (200, 4)):
            results.add(System("waggle"), {"rate": rate, "cpu": cpu})
        results.add(System("theirs"), {"rate": 100, "cpu": 16})
        said = tables.aims_table(results, [tables.Aim("faster", "rate", "theirs", 2, at_least=True), tables.Aim("much faster", "rate", "theirs", 4, at_least=True),
                                           tables.Aim("cheaper", "cpu", "theirs", 1 / 4), tables.Aim("much cheaper", "cpu", "theirs", 1 / 8)], False)
        verdicts = {line.split(",")[0]: line for line in said.splitlines()}
        assert verdicts["faster"].endswith("met") and verdicts["cheaper"].endswith("met"), said
        assert "missed by 50 %" in verdicts["much faster"] and "missed by 100 %" in verdicts["much cheaper"], said

    @test("bench: bash completes its subcommands, the commands of the network, and flags")
    def _():
        with Network(bin_folder) as net:
            served(net)
            waggle = bin_folder + "/waggle"
            for typed, wanted in (("bench ca\t", ["bench", "calls"]), ("bench calls bench.e\t", ["bench", "calls", "bench.echo"]),
                                  ("bench calls --in\t", ["bench", "calls", "--in"]), ("bench calls --in-\t", ["bench", "calls", "--in-flight"]),
                                  ("bench events --sub\t", ["bench", "events", "--subscribers"]), ("bench serve --com\t", ["bench", "serve", "--command"])):
                got = completed(f"{waggle} {typed}", WAGGLE_BROKER=net.endpoint)
                assert got == wanted, (typed, got, wanted)
