"""End-to-end tests of events and durable commands, as somebody at a terminal has them: emit, sub, streams, groups, dead, later, outcome."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

from network import ANY, Network, Program, eventually


class Kept:
    """A broker that keeps events in a folder of its own, at endpoints that outlive it."""

    def __init__(self, bin_folder, config=None):
        self.bin = bin_folder
        self.folder = tempfile.mkdtemp()
        self.started = []
        self.endpoint = f"ipc://{self.folder}/commands"
        self.flags = ["--commands", self.endpoint, "--events-in", f"ipc://{self.folder}/in", "--events-out", f"ipc://{self.folder}/out",
                      "--pulse", "100ms", "--data", self.folder + "/data"]
        if config is not None:
            with open(self.folder + "/broker.yaml", "w", encoding="utf-8") as file:
                file.write(config)
            self.flags += ["--config", self.folder + "/broker.yaml"]
        try:
            self.begin()
        except BaseException:
            self.__exit__()
            raise

    def begin(self):
        self.broker = self.start("waggle-broker", *self.flags)

    def restart(self):
        self.broker.stop(signal.SIGKILL)
        self.begin()

    def worker(self, service, events=(), commands=(), slots=4, instance=None):
        manifest = {"service": service, "instance": instance or service + "-1", "slots": slots, "events": list(events), "commands": list(commands)}
        return self.python("tests/e2e/event_worker.py", json.dumps(manifest))

    def asked(self, *arguments, code=0):
        """What a command prints as JSON."""
        got, out, err = self.cli(*arguments, "--json")
        assert got == code, (arguments, got, out, err)
        return json.loads(out)

    def emit(self, topic, payload, *flags):
        """The event's sequence."""
        code, out, err = self.cli("emit", topic, json.dumps(payload), *flags)
        assert code == 0 and err == "", (code, out, err)
        return int(re.fullmatch(r"kept (?:before, )?as events (\d+)\n", out).group(1))

    def group(self, name):
        return next((each for each in self.asked("groups", name)["groups"] if each["group"] == name), None)

    start, python, cli = Network.start, Network.python, Network.cli

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in reversed(self.started):
            each.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)


def events_of(worker, kind="event"):
    """What a worker has printed: (topic, sequence or operation, attempt, payload)."""
    out = []
    for line in worker.read().splitlines(keepends=True):
        if not line.endswith("\n"):
            continue  # it is still being printed
        words = line.split(" ", 4)
        if words[0] != kind:
            continue
        if kind == "event":
            out.append((words[1], int(words[2]), int(words[3]), json.JSONDecoder().raw_decode(words[4])[0]))
        else:
            out.append((words[1], words[2], int(words[3]), json.loads(words[4])))
    return out


def quickly(topic, **more):
    """A pattern whose failures are tried again at once."""
    return {"topic": topic, "backoff_ms": 10, "backoff_max_ms": 20, **more}


def define(test, bin_folder, in_background, completed):
    """Adds the tests to run.py's."""

    @test("events: emit prints the receipt, and its exit code says whether the event is on disk")
    def _():
        with Kept(bin_folder) as net:
            code, out, err = net.cli("emit", "order.placed", '{"id":7}')
            assert (code, out, err) == (0, "kept as events 1\n", ""), (code, out, err)
            assert net.asked("emit", "order.placed", '{"id":8}') == {"durable": True, "stream": "events", "sequence": 2}
            assert net.emit("order.placed", {"id": 9}, "--event-id", "nine") == 3
            code, out, err = net.cli("emit", "order.placed", '{"id":9}', "--event-id", "nine")
            assert (code, out) == (0, "kept before, as events 3\n"), (code, out, err)
            for arguments, wanted in ((["order.*", "1"], 13), (["waggle.x", "1"], 17), (["a", "{"], 2), ([], 2),
                                      (["a", "1", "--event-id", "x" * 129], 13)):
                code, out, err = net.cli("emit", *arguments)
                assert code == wanted and out == "" and err != "", (arguments, code, out, err)
        with Program(os.path.join(bin_folder, "waggle-broker"), "--commands", ANY, "--events-in", ANY, "--events-out", ANY, "--data", "none") as broker:
            got = subprocess.run([bin_folder + "/waggle", "emit", "a", "1", "--broker", broker.value("commands")], capture_output=True, text=True,
                                 timeout=30, stdin=subprocess.DEVNULL)
            assert got.returncode == 19 and got.stdout == "" and "--data FOLDER" in got.stderr, got
            got = subprocess.run([bin_folder + "/waggle", "later", "a", "1", "--broker", broker.value("commands")], capture_output=True, text=True,
                                 timeout=30, stdin=subprocess.DEVNULL)
            assert got.returncode == 19 and got.stdout == "", got

    @test("events: sub begins with the last events, with all, with a number or with an age, and goes on with those that come")
    def _():
        with Kept(bin_folder) as net:
            assert net.cli("later", "job.run", "1")[0] == 0  # of which subscribers hear nothing
            for i in range(1, 6):
                net.emit("order.placed" if i % 2 else "user.joined", i)
            for flags, wanted in ((["--all"], [1, 3, 5]), (["--last", "2"], [3, 5]), (["--from", "3"], [3, 5]), (["--since", "1h"], [1, 3, 5]),
                                  (["--from", "2", "--stream", "events"], [3, 5])):
                code, out, err = net.cli("sub", "order.", *flags, "--count", str(len(wanted)), "--wait", "20s", "--json")
                assert code == 0 and err == "", (flags, code, out, err)
                got = [json.loads(line) for line in out.splitlines()]
                assert [(each["stream"], each["sequence"], each["payload"]) for each in got] == [("events", i, i) for i in wanted], (flags, got)
            code, out, err = net.cli("sub", "--last", "5", "--count", "5", "--wait", "20s", "--json")
            assert code == 0 and [json.loads(line)["sequence"] for line in out.splitlines()] == [1, 2, 3, 4, 5], (code, out, err)
            listening = subprocess.Popen([bin_folder + "/waggle", "sub", "order.", "--last", "1"], text=True, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, env={**os.environ, "WAGGLE_BROKER": net.endpoint})
            try:
                assert listening.stdout.readline() == "order.placed 5\n"
                net.emit("order.sent", {"id": 6})
                assert listening.stdout.readline() == 'order.sent {"id":6}\n'
            finally:
                listening.kill()
                listening.communicate()
            code, out, err = net.cli("sub", "order.", "--from", "99")
            assert code == 21 and out == "", (code, out, err)
            for wrong in (["--last", "2", "--all"], ["--since", "soon"], ["--from", "x"], ["--from", "1", "--since", "1m"]):
                assert net.cli("sub", *wrong)[0] == 2, wrong

    @test("events: sub loses nothing when the broker is killed and started again")
    def _():
        with Kept(bin_folder) as net:
            net.emit("order.placed", 0)
            listening = subprocess.Popen([bin_folder + "/waggle", "sub", "order.", "--all", "--json", "--count", "60"], text=True,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "WAGGLE_BROKER": net.endpoint})
            try:
                assert json.loads(listening.stdout.readline())["sequence"] == 1
                sent = 1
                for round_ in range(3):
                    for _ in range(10):
                        net.emit("order.placed", sent)
                        sent += 1
                    net.restart()
                while sent < 60:
                    net.emit("order.placed", sent)
                    sent += 1
                out, err = listening.communicate(timeout=30)
                got = [json.loads(line)["payload"] for line in out.splitlines()]
                assert got == list(range(1, 60)), (got, err)
            finally:
                listening.kill()

    @test("events: a configuration says which topics belong to which stream, and which are ephemeral")
    def _():
        with Kept(bin_folder, "streams:\n  orders:\n    topics: [\"order.*\"]\n  others:\n    topics: [\"*\"]\nephemeral: [\"hint.*\"]\n") as net:
            code, out, err = net.cli("emit", "hint.moved", "1")
            assert (code, out) == (0, "not kept: ephemeral topic\n"), (code, out, err)
            assert net.asked("emit", "hint.moved", "1") == {"durable": False}
            code, out, err = net.cli("emit", "order.placed", "1")
            assert (code, out) == (0, "kept as orders 1\n"), (code, out, err)
            streams = net.asked("streams")
            assert streams["durable"] and streams["ephemeral"] == ["hint.*"], streams
            assert [(each["stream"], each["head"]) for each in streams["streams"]] == [("orders", 1), ("others", 0)], streams
            assert "not kept: hint.*" in net.cli("streams")[1]
            assert net.cli("sub", "--from", "1")[0] == 13  # of which stream?
            code, out, err = net.cli("sub", "--from", "1", "--stream", "orders", "--count", "1")
            assert (code, out) == (0, "order.placed 1\n"), (code, out, err)

    @test("events: streams says what is kept, and groups how far each service is")
    def _():
        with Kept(bin_folder) as net:
            net.emit("user.joined", 1)
            streams = net.asked("streams")
            assert streams["durable"] and [(each["stream"], each["head"]) for each in streams["streams"]] == [("events", 1)], streams
            code, out, err = net.cli("streams", "order.placed")
            assert code == 0 and [line.split()[0] for line in out.splitlines()] == ["STREAM", "events"], (code, out, err)
            assert net.cli("groups")[2] == "waggle: no service handles events, and none has\n"
            worker = net.worker("mailer", [quickly("order.*")])
            net.cli("emit", "order.placed", '{"hold":1}')
            eventually(lambda: events_of(worker), what="the worker has the event")
            group = net.group("mailer")
            assert (group["stream"], group["lag"], group["in_flight"], group["members"]) == ("events", 1, 1, 4), group
            code, out, err = net.cli("groups")
            assert code == 0 and out.splitlines()[1].split()[:2] == ["mailer", "events"], (out, err)
            code, out, err = net.cli("groups", "forget", "mailer")
            assert code == 19 and out == "", (code, out, err)
            worker.process.send_signal(signal.SIGUSR1)
            eventually(lambda: net.group("mailer")["lag"] == 0, what="it is settled")
            assert worker.stop() == 0, worker.log()
            code, out, err = net.cli("groups", "forget", "mialer")
            assert code == 15 and "did you mean mailer?" in err, (code, out, err)
            assert net.cli("groups", "forget", "mailer")[0] == 0 and net.group("mailer") is None

    @test("events: ls and describe show who handles which topics")
    def _():
        with Kept(bin_folder) as net:
            net.worker("mailer", [quickly("order.*", doc="Writes to the customer.", attempts=3)])
            out = net.cli("ls")[1]
            assert "order.*" in out and "Writes to the customer." in out, out
            code, out, err = net.cli("describe", "order.placed")
            assert code == 0 and "mailer" in out and "3 of at most 1 min" in out, (code, out, err)
            assert net.asked("ls", "order.")["services"][0]["events"][0]["topic"] == "order.*"

    @test("events: one instance of each service gets an event, and a service that was away gets what it has missed")
    def _():
        with Kept(bin_folder) as net:
            first = net.worker("mailer", [quickly("order.*")], instance="mailer-1")
            second = net.worker("mailer", [quickly("order.*")], instance="mailer-2")
            other = net.worker("search", [quickly("*", **{"from": "beginning"})])
            sent = [net.emit("order.placed", {"id": i}) for i in range(10)]
            eventually(lambda: len(events_of(first)) + len(events_of(second)) == 10 and len(events_of(other)) == 10, what="all are handled")
            assert sorted(each[1] for each in events_of(first) + events_of(second)) == sent
            eventually(lambda: net.group("search")["lag"] == 0, what="all are settled")
            assert other.stop() == 0, other.log()
            missed = [net.emit("user.joined", {"id": i}) for i in range(5)]
            again = net.worker("search", [quickly("*")])
            eventually(lambda: [each[1] for each in events_of(again)] == missed, what="it gets what it has missed")

    @test("events: an event that fails is tried again, becomes a dead letter with its payload, and can be tried again by hand")
    def _():
        with Kept(bin_folder) as net:
            worker = net.worker("mailer", [quickly("order.*", attempts=3)])
            assert net.emit("order.placed", {"id": 1, "fail": 2}) == 1
            eventually(lambda: [each[2] for each in events_of(worker)] == [1, 2, 3], what="the third attempt succeeds")
            assert net.asked("dead", "ls") == {"total": 0, "dead": []}
            assert net.cli("dead", "ls")[2] == "waggle: no event is dead\n"
            assert net.emit("order.placed", {"id": 2, "fail": 4}, "--key", "two") == 2
            eventually(lambda: net.asked("dead", "ls", "mailer")["total"] == 1, what="it is dead after the third")
            [dead] = net.asked("dead", "ls")["dead"]
            assert (dead["group"], dead["sequence"], dead["attempts"], dead["error"]["message"]) == ("mailer", 2, 3, "attempt 3 was to fail"), dead
            letter = str(dead["id"])
            code, out, err = net.cli("dead", "ls")
            assert code == 0 and "INTERNAL: attempt 3 was to fail" in out, (code, out, err)
            code, out, err = net.cli("dead", "show", letter)
            assert code == 0 and '{"id":2,"fail":4}' in out and '{"key":"two"}' in out and f"waggle dead retry {letter}" in out, (code, out, err)
            assert net.asked("dead", "show", letter)["payload"] == {"id": 2, "fail": 4}
            code, out, err = net.cli("dead", "retry", letter)
            assert (code, out) == (0, "1 dead letter is tried again\n"), (code, out, err)
            eventually(lambda: net.asked("dead", "ls")["total"] == 0, what="it is handled at last")
            assert [each[2] for each in events_of(worker) if each[1] == 2] == [1, 2, 3, 4, 5], events_of(worker)
            net.emit("order.placed", {"id": 3, "fail": 99})
            eventually(lambda: net.group("mailer")["dead"] == 1, what="another one is dead")
            code, out, err = net.cli("dead", "drop", "--group", "mailer")
            assert (code, out) == (0, "1 dead letter is forgotten\n"), (code, out, err)
            for wrong, wanted in ((["retry"], 2), (["drop"], 2), (["retry", "1", "--group", "mailer"], 2), (["show", "x"], 2), (["show", "99"], 15),
                                  (["retry", "99"], 15), ([], 2)):
                code, out, err = net.cli("dead", *wrong)
                assert code == wanted and out == "" and err != "", (wrong, code, out, err)

    @test("events: those of one key are handled in order, others do not wait")
    def _():
        with Kept(bin_folder) as net:
            worker = net.worker("mailer", [quickly("order.*")], slots=8)
            held = net.emit("order.placed", {"hold": 1}, "--key", "ada")
            next_ = net.emit("order.paid", {}, "--key", "ada")
            other = net.emit("order.placed", {}, "--key", "eve")
            eventually(lambda: {each[1] for each in events_of(worker)} == {held, other}, what="another key does not wait")
            worker.process.send_signal(signal.SIGUSR1)
            eventually(lambda: [each[1] for each in events_of(worker)][-1] == next_, what="the next of the key comes")

    @test("events: a worker that is killed with an event, and a broker that is killed, cost an attempt and no event")
    def _():
        with Kept(bin_folder) as net:
            first = net.worker("mailer", [quickly("order.*")], instance="mailer-1")
            sequence = net.emit("order.placed", {"hold": 1})
            eventually(lambda: events_of(first), what="the worker has the event")
            first.stop(signal.SIGKILL)
            second = net.worker("mailer", [quickly("order.*")], instance="mailer-2")
            eventually(lambda: [each[1:3] for each in events_of(second)] == [(sequence, 2)], what="another worker gets it, as the second attempt")
            held = net.emit("order.placed", {"hold": 9})
            eventually(lambda: len(events_of(second)) == 2, what="the worker has the next one")
            net.restart()
            eventually(lambda: [each[2] for each in events_of(second) if each[1] == held][-1] == 2, what="it comes again, as the second attempt")
            second.process.send_signal(signal.SIGUSR1)
            eventually(lambda: net.group("mailer")["lag"] == 0, what="it is settled")
            net.restart()
            after = net.emit("order.placed", {"id": "after"})
            eventually(lambda: events_of(second)[-1][1] == after, what="what is acknowledged does not come again, what is new does")
            assert len([each for each in events_of(second) if each[1] == held]) == 2, events_of(second)

    @test("durable commands: later prints an operation, outcome what has become of it, and exit codes say it to scripts")
    def _():
        with Kept(bin_folder) as net:
            code, out, err = net.cli("later", "job.run", '{"id":1,"fail":1}', "--idempotency-key", "one")
            assert code == 0 and re.fullmatch(r"[0-9a-f]{32}\n", out) and err == "", (code, out, err)
            operation = out.strip()
            code, out, err = net.cli("outcome", operation)
            assert code == 4 and "waiting" in out, (code, out, err)
            code, out, err = net.cli("later", "job.run", '{"id":1,"fail":1}', "--idempotency-key", "one")
            assert code == 0 and out.strip() == operation and "accepted before" in err, (code, out, err)
            code, out, err = net.cli("later", "job.run", '{"id":2}', "--idempotency-key", "one")
            assert code == 19 and out == "" and "idempotency key" in err, (code, out, err)
            worker = net.worker("job", commands=[{"name": "job.run", "retry": "idempotent"}, {"name": "job.once"}])
            code, out, err = net.cli("outcome", operation, "--wait", "20s")
            assert code == 0 and "succeeded" in out and '{"done":1,"attempt":2}' in out, (code, out, err)
            assert [each[1:3] for each in events_of(worker, "call")] == [(operation, 1), (operation, 2)], worker.read()
            assert net.asked("outcome", operation)["result"] == {"done": 1, "attempt": 2}
            code, out, err = net.cli("call", "--later", "job.run", '{"id":3,"fail":9,"status":5}')
            assert code == 0, (code, out, err)
            code, out, err = net.cli("outcome", out.strip(), "--wait", "20s")
            assert code == 15 and "failed" in out and "attempt 1 was to fail" in out, (code, out, err)
            code, out, err = net.cli("outcome", "0" * 32)
            assert code == 15 and out == "" and "forgotten" in err, (code, out, err)
            for wrong in (["later"], ["later", "job.run", "{"], ["outcome"], ["outcome", operation, "--wait", "soon"],
                          ["call", "job.run", "1", "--idempotency-key", "x"]):
                assert net.cli(*wrong)[0] == 2, wrong

    @test("durable commands: a broker that is killed goes on with them, and what may not run twice is not run again when its worker dies")
    def _():
        with Kept(bin_folder) as net:
            kept = net.cli("later", "job.run", '{"id":1}')[1].strip()
            net.restart()
            worker = net.worker("job", commands=[{"name": "job.run", "retry": "idempotent"}, {"name": "job.once"}])
            assert net.cli("outcome", kept, "--wait", "20s")[0] == 0
            once = net.cli("later", "job.once", '{"id":2,"hold":1}')[1].strip()
            again = net.cli("later", "job.run", '{"id":3,"hold":1}')[1].strip()
            eventually(lambda: {each[1] for each in events_of(worker, "call")} == {kept, once, again}, what="the worker has both")
            assert net.cli("outcome", once)[0] == 4 and "running" in net.cli("outcome", once)[1]
            worker.stop(signal.SIGKILL)
            other = net.worker("job", commands=[{"name": "job.run", "retry": "idempotent"}, {"name": "job.once"}], instance="job-2")
            code, out, err = net.cli("outcome", once, "--wait", "20s")
            assert code == 24 and "failed" in out, (code, out, err)
            eventually(lambda: [each[1] for each in events_of(other, "call")] == [again], what="the other one is run again")
            assert [each["topic"] for each in net.asked("dead", "ls", "waggle.later")["dead"]] == ["job.once"]

    @test("CLI: bash completes groups and dead letters")
    def _():
        with Kept(bin_folder) as net:
            net.worker("mailer", [quickly("order.*", attempts=1)])
            net.emit("order.placed", {"fail": 9})
            eventually(lambda: net.group("mailer")["dead"] == 1, what="an event is dead")
            letter = str(net.asked("dead", "ls")["dead"][0]["id"])
            waggle = bin_folder + "/waggle"
            for typed, wanted in (("groups forget mai\t", ["groups", "forget", "mailer"]), ("dead show \t", ["dead", "show", letter]),
                                  ("dead ret\t --group mai\t", ["dead", "retry", "--group", "mailer"]), ("dead ls mai\t", ["dead", "ls", "mailer"]),
                                  ("emit --ev\t", ["emit", "--event-id"]), ("sub --si\t", ["sub", "--since"])):
                got = completed(f"{waggle} {typed}", WAGGLE_BROKER=net.endpoint)
                assert got == wanted, (typed, got, wanted)
