"""End-to-end tests of what operators do with the CLI: look at workers, queues and calls, drain, pause and resume."""
import json
import signal
import subprocess
import time

from network import Network, eventually


def define(test, bin_folder, in_background, completed):
    """Adds the tests to run.py's."""

    def worker(net, name, slots=1):
        return net.python("tests/e2e/patient_worker.py", name, slots)

    def finish(program):
        program.process.send_signal(signal.SIGUSR1)

    def call(net, command, *flags):
        return in_background(lambda: net.cli("call", command, "{}", "--budget", "25s", *flags))

    def asked(net, *arguments):
        code, out, err = net.cli(*arguments, "--json")
        assert code == 0, (arguments, code, out, err)
        return json.loads(out)

    def lines(net, *arguments):
        code, out, err = net.cli(*arguments)
        assert code == 0, (arguments, code, out, err)
        return [line.split() for line in out.splitlines()]

    @test("CLI: workers, queues, calls and stats show a network at work")
    def _():
        with Network(bin_folder, pulse="200ms") as net:
            net.hello("--instance", "hello-1")
            at_work = worker(net, "job-1")
            first = call(net, "job.run")
            eventually(lambda: "called" in at_work.read(), what="the worker has the call")
            others = [call(net, "job.run"), call(net, "job.other", "--key", "ada"), call(net, "job.other", "--key", "ada")]
            eventually(lambda: asked(net, "calls")["total"] == 4, what="all calls are open")
            assert [row[:3] for row in lines(net, "workers", "job")] == [["INSTANCE", "SERVICE", "BUSY"], ["job-1", "job", "1"]]
            assert [each["in_flight"] for each in asked(net, "workers")["workers"]] == [0, 1]
            assert [row[:2] for row in lines(net, "queues")] == [["COMMAND", "QUEUED"], ["job.other", "2"], ["job.run", "1"], ["hello.say", "0"]]
            assert [row[:2] for row in lines(net, "calls", "job.run")] == [["COMMAND", "STATE"], ["job.run", "running"], ["job.run", "queued"]]
            assert [each["key"] for each in asked(net, "calls", "job.other")["calls"]] == ["ada", "ada"]
            code, out, err = net.cli("calls", "--limit", "1")
            assert code == 0 and len(out.splitlines()) == 2 and "1 of 4 calls" in err, (out, err)
            while not all(each["in_flight"] == 0 for each in asked(net, "workers")["workers"]):
                finish(at_work)
                time.sleep(0.02)  # nothing to wait for: it may have got the next one since
            for each in [first, *others]:
                code, out, err = each()
                assert code == 0 and json.loads(out) == "done", (code, out, err)
            assert net.cli("calls")[2] == "waggle: no call is open\n"
            statistics = {each["command"]: each for each in asked(net, "stats")["commands"]}
            assert statistics["job.run"]["calls"] == 2 and statistics["job.run"]["run_us"]["p50"] > 0, statistics
            assert any(row[:2] == ["job.run", "2"] for row in lines(net, "stats", "job."))

    @test("CLI: drain waits until a worker has answered what it has, and no longer than its budget")
    def _():
        with Network(bin_folder, pulse="200ms") as net:
            old = worker(net, "job-1")
            answer = call(net, "job.run")
            eventually(lambda: "called" in old.read(), what="the worker has the call")
            code, out, err = net.cli("drain", "job-1", "--budget", "300ms")
            assert code == 14 and out == "" and "job-1 still has 1 call at hand" in err, (code, out, err)
            new = worker(net, "job-2")
            drained = in_background(lambda: net.cli("drain", "job-1", "--budget", "20s"))
            later = call(net, "job.run")
            eventually(lambda: "called" in new.read(), what="the other worker gets the next call")
            assert [each["draining"] for each in asked(net, "workers")["workers"]] == [True, False]
            finish(old)
            assert drained()[:2] == (0, "job-1 has left\n"), drained()
            assert answer()[0] == 0 and old.process.wait(10) == 0
            assert asked(net, "drain", "job-2", "--no-wait") == {"worker": "job-2", "drained": 1, "in_flight": 1, "gone": False}
            finish(new)
            assert later()[0] == 0 and new.process.wait(10) == 0

    @test("CLI: calls of a paused command wait until it is resumed")
    def _():
        with Network(bin_folder) as net:
            net.hello()
            code, out, err = net.cli("pause", "hello.say")
            assert (code, out) == (0, "hello.say is paused\n"), (code, out, err)
            answer = in_background(lambda: net.cli("call", "hello.say", '{"name":"Ada"}', "--budget", "25s"))
            eventually(lambda: asked(net, "queues")["queues"][0]["queued"] == 1, what="the call waits")
            assert lines(net, "queues", "hello.")[1][-1] == "paused"
            assert net.cli("call", "hello.say", '{"name":"Eve"}', "--budget", "100ms")[0] == 14
            code, out, err = net.cli("resume", "hello.say")
            assert (code, out) == (0, "hello.say is resumed; 1 call waited\n"), (code, out, err)
            assert json.loads(answer()[1]) == {"message": "hello Ada"}
            assert asked(net, "resume", "hello.say") == {"queued": 0}

    @test("CLI: a misspelt worker or command is NOT_FOUND, and the name that is most like it is said")
    def _():
        with Network(bin_folder) as net:
            net.hello("--instance", "hello-1")
            for arguments, wanted in ((["drain", "helo-1"], "did you mean hello-1?"), (["drain", "nobody"], "no worker is named"),
                                      (["pause", "hello.sya"], "did you mean hello.say?"), (["resume", "zebra"], "`waggle ls` shows")):
                code, out, err = net.cli(*arguments)
                assert code == 15 and out == "" and wanted in err, (arguments, code, out, err)
            code, out, err = net.cli("pause", "hello.sya", "--json")
            assert code == 15 and json.loads(err)["code"] == "NOT_FOUND", (code, out, err)
            code, out, err = net.cli("calls", "hello.sya")
            assert code == 0 and "did you mean hello.say?" in err, (code, out, err)
            assert "\"x\"" in net.cli("workers", "x")[2]
            for wrong in (["drain"], ["workers", "--limit", "0"], ["queues", "--limit", "many"], ["pause"], ["stats", "--watch"]):
                assert net.cli(*wrong)[0] == 2, wrong

    @test("CLI: bash completes workers for drain and commands for pause")
    def _():
        with Network(bin_folder) as net:
            net.hello("--instance", "hello-1")
            waggle = bin_folder + "/waggle"
            for typed, wanted in (("drain hel\t", ["drain", "hello-1"]), ("pause hel\t", ["pause", "hello.say"]),
                                  ("queues --l\t", ["queues", "--limit"]), ("drain --n\t", ["drain", "--no-wait"]),
                                  ("resu\t hel\t", ["resume", "hello.say"])):
                got = completed(f"{waggle} {typed}", WAGGLE_BROKER=net.endpoint)
                assert got == wanted, (typed, got, wanted)
            for shell in ("zsh", "fish"):
                script = subprocess.run([waggle, "completion", shell], capture_output=True, text=True, timeout=10).stdout
                assert all(each in script for each in ("workers", "queues", "calls", "stats", "drain", "pause", "resume")), shell
