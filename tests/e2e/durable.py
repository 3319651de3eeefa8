"""End-to-end tests of what is kept: nothing that got a receipt is lost, whoever is killed, and a full disk is said to be full."""
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import msgpack
import zmq

from network import Program, eventually


class Emitter(threading.Thread):
    """Emits events of sixteen keys, several at a time, each under an id of its own and again until there is a receipt for it."""

    def __init__(self, endpoint):
        super().__init__(daemon=True)
        self.endpoint = endpoint
        self.receipts = {}  # by event id: the sequence
        self.refused = []
        self.stopping = False
        self.failed = None

    def run(self):
        try:
            self.emit()
        except Exception as e:  # the test's thread says so
            self.failed = e

    def emit(self):
        context = zmq.Context()
        open_emits, last, number = {}, time.monotonic(), 0
        socket = None
        while not self.stopping or open_emits:
            if socket is None:
                socket = context.socket(zmq.DEALER)
                socket.setsockopt(zmq.LINGER, 0)
                socket.connect(self.endpoint)
                last = time.monotonic()
                for each in open_emits.values():
                    socket.send(msgpack.packb(each))
            while len(open_emits) < 64 and not self.stopping:
                number += 1
                open_emits[number] = (5, number, "order.placed", msgpack.packb(number), {"event_id": f"e{number}", "key": f"k{number % 16}"})
                socket.send(msgpack.packb(open_emits[number]))
            if socket.poll(20):
                last = time.monotonic()
                bundle = msgpack.Unpacker()
                bundle.feed(socket.recv())
                for _, emit, status, payload, _ in bundle:
                    if status != 0:
                        self.refused.append(msgpack.unpackb(payload)["code"])
                        socket.send(msgpack.packb(open_emits[emit]))
                        continue
                    receipt = msgpack.unpackb(payload)
                    assert receipt["durable"], receipt
                    self.receipts[f"e{emit}"] = receipt["sequence"]
                    del open_emits[emit]
            elif time.monotonic() - last > 0.7:
                socket.close()
                socket = None
        context.destroy(linger=0)


def define(test, bin_folder):
    """Adds the tests to run.py's."""

    def waggle(endpoint, *arguments, within=30.0):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WAGGLE_")}
        got = subprocess.run([os.path.join(bin_folder, "waggle"), *arguments], capture_output=True, text=True, timeout=within,
                             stdin=subprocess.DEVNULL, env={**clean, "WAGGLE_BROKER": endpoint})
        return got.returncode, got.stdout, got.stderr

    @test("durable events: with broker and workers killed again and again, nothing that got a receipt is lost, and keys keep their order")
    def _():
        folder = tempfile.mkdtemp(prefix="waggle-")
        endpoint = f"ipc://{folder}/commands"
        started = []

        def broker():
            started.append(Program(os.path.join(bin_folder, "waggle-broker"), "--commands", endpoint, "--events-in", f"ipc://{folder}/in",
                                   "--events-out", f"ipc://{folder}/out", "--pulse", "100ms", "--data", f"{folder}/data"))
            return started[-1]

        def worker(number):
            started.append(Program("/usr/bin/python3", os.path.join(os.path.dirname(__file__), "ledger_worker.py"), f"{folder}/ledger",
                                   f"ledger-{number}", env={"WAGGLE_BROKER": endpoint}))
            return started[-1]

        chance = random.Random(5)
        emitter = Emitter(endpoint)
        try:
            serving, workers = broker(), [worker(0), worker(1)]
            emitter.start()
            for round_number in range(12):
                time.sleep(chance.uniform(0.1, 0.9))  # nothing to wait for: whatever is under way is to be cut off
                if round_number % 2 == 0:
                    serving.stop(signal.SIGKILL)
                    serving = broker()
                else:
                    workers.pop(0).stop(signal.SIGKILL)
                    workers.append(worker(round_number + 1))
            eventually(lambda: len(emitter.receipts) > 500 or emitter.failed, 60, "500 receipts")
            emitter.stopping = True
            emitter.join(30)
            assert emitter.failed is None and not emitter.is_alive(), emitter.failed

            def handled():
                with open(f"{folder}/ledger", encoding="ascii") as ledger:
                    return [line.split() for line in ledger.read().splitlines()]

            eventually(lambda: set(emitter.receipts) <= {each[3] for each in handled()}, 60, "every event with a receipt is handled")
            first, sequences = {}, {}
            for sequence, _, key, event in handled():
                assert sequences.setdefault(event, int(sequence)) == int(sequence), f"{event} is in the log twice"
                if event not in first:
                    first[event] = int(sequence)
                    before = first.get(key, 0)
                    assert before < int(sequence), f"{key}: {sequence} was handled after {before}"
                    first[key] = int(sequence)
            assert all(sequences[event] == sequence for event, sequence in emitter.receipts.items())
            code, out, err = waggle(endpoint, "groups", "--json")
            assert code == 0, err
            eventually(lambda: json.loads(waggle(endpoint, "groups", "--json")[1])["groups"][0]["lag"] == 0, 10, "the group has settled everything")
            assert json.loads(waggle(endpoint, "groups", "--json")[1])["groups"][0]["dead"] == 0
        finally:
            emitter.stopping = True
            for each in reversed(started):
                each.__exit__()
            shutil.rmtree(folder)

    @test("durable events: a full disk refuses events, keeps those that have receipts, and does not stop calls")
    def _():
        folder = tempfile.mkdtemp(prefix="waggle-")
        endpoint = f"ipc://{folder}/commands"
        # A small disk of its own, in a mount namespace that ends with the broker.
        small = ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=3m none "$1" && shift && exec "$@"', "sh", f"{folder}/disk"]
        os.mkdir(f"{folder}/disk")
        try:
            if subprocess.run([*small, "true"], capture_output=True).returncode != 0:
                print("        left out: this system lets nobody mount a disk of his own")
                return
            with Program(*small, os.path.join(bin_folder, "waggle-broker"), "--commands", endpoint, "--events-in", f"ipc://{folder}/in",
                         "--events-out", f"ipc://{folder}/out", "--data", f"{folder}/disk/data") as broker, \
                    Program(os.path.join(bin_folder, "waggle-hello"), "--broker", endpoint):
                inside = f"/proc/{broker.process.pid}/root{folder}/disk"
                with open(f"{inside}/ballast", "wb") as ballast:
                    ballast.write(b"x" * 1_000_000)
                receipts, code, err = 0, 0, ""
                while code == 0 and receipts < 400:
                    code, out, err = waggle(endpoint, "emit", "order.placed", json.dumps("x" * 20_000))
                    receipts += code == 0
                assert 10 < receipts < 400 and code == 18 and "disk" in err, (receipts, code, err)
                code, out, err = waggle(endpoint, "call", "hello.say", '{"name": "Ada"}')
                assert code == 0, err
                code, out, err = waggle(endpoint, "sub", "order.", "--all", "--count", str(receipts), "--wait", "20s", "--json")
                assert code == 0 and len(out.splitlines()) == receipts, (code, len(out.splitlines()), receipts, err)
                os.remove(f"{inside}/ballast")
                eventually(lambda: waggle(endpoint, "emit", "order.placed", "1")[0] == 0, 20, "an emit succeeds once there is room")
        finally:
            shutil.rmtree(folder)
