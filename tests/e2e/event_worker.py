"""A worker that handles events and durable commands as their payloads say, and prints what it gets.
usage: event_worker.py MANIFEST, in JSON. It joins again when the broker has restarted, and ends on SIGTERM after a LEAVE.

A payload that is a map can have `fail`: so many attempts fail (the status is `status`, or INTERNAL); `hold`: it is answered on SIGUSR1."""
import json
import os
import signal
import sys
import time

import msgpack
import zmq

CALL, CANCEL, REPLY, EVENT, JOIN, LEAVE, PULSE = 1, 2, 4, 6, 7, 8, 9
finish, stop, calls = [], [], {}
signal.signal(signal.SIGUSR1, lambda *_: finish.append(True))
signal.signal(signal.SIGTERM, lambda *_: stop.append(True))


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")  # print writes each word on its own when output is unbuffered
    sys.stdout.flush()


def work(socket):
    def send(*frame):
        socket.send(msgpack.packb(frame))

    def end(lease, wanted, attempt):
        if attempt <= wanted.get("fail", 0):
            error = {"code": "INTERNAL", "message": f"attempt {attempt} was to fail", "may_have_run": True}
            send(REPLY, lease, wanted.get("status", 13), msgpack.packb(error), None)
        else:
            send(REPLY, lease, 0, msgpack.packb({"done": wanted.get("id"), "attempt": attempt}), None)

    held, leaving, next_pulse, heard, joined = {}, False, 0.0, time.monotonic(), False
    while time.monotonic() < heard + (2 if joined else 1):
        if not joined and time.monotonic() >= next_pulse:
            send(JOIN, 1, json.loads(sys.argv[1]))
        elif time.monotonic() >= next_pulse:
            send(PULSE)
        if time.monotonic() >= next_pulse:
            next_pulse = time.monotonic() + 0.1
        if stop and not leaving:
            leaving = True
            send(LEAVE, 2)
        if finish:
            finish.clear()
            for lease, (wanted, attempt) in held.items():
                end(lease, wanted, attempt)
            held.clear()
        if not socket.poll(20):
            continue
        heard = time.monotonic()
        kind, *rest = msgpack.unpackb(socket.recv())
        if kind == REPLY and rest[0] == 1 and rest[1] == 0:
            say("ready" if not joined else "joined", "pid", os.getpid())
            joined = True
        elif kind == REPLY and rest[0] == 2:
            return True
        elif kind == REPLY:
            say("refused", rest[1], msgpack.unpackb(rest[2]))
        elif kind == EVENT:
            lease, topic, payload, headers, about = rest
            wanted = msgpack.unpackb(payload) if payload else None
            say("event", topic, about["sequence"], about["attempt"], json.dumps(wanted), json.dumps(headers))
        elif kind == CALL:
            lease, topic, payload, _budget, headers = rest[:5]
            wanted = msgpack.unpackb(payload) if payload else None
            operation = (headers or {}).get("operation", "")
            calls[operation] = calls.get(operation, 0) + 1
            about = {"attempt": calls[operation]}
            say("call", topic, operation, about["attempt"], json.dumps(wanted))
        elif kind == CANCEL and held.pop(rest[0], None):
            say("cancelled")
            send(REPLY, rest[0], 1, None, None)
        elif kind == PULSE and rest == [0] and not leaving:
            held.clear()  # their leases are void, and the numbers may come again
            joined, next_pulse = False, 0.0
        if kind in (EVENT, CALL):
            wanted = wanted if isinstance(wanted, dict) else {}
            if wanted.get("hold", 0) >= about["attempt"]:
                held[lease] = (wanted, about["attempt"])
            else:
                end(lease, wanted, about["attempt"])
    return False


context = zmq.Context()
while True:
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 500)
    socket.connect(os.environ["WAGGLE_BROKER"])
    over = work(socket)
    socket.close()
    if over:
        break
