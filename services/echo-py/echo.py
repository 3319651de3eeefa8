#!/usr/bin/env python3
"""A waggle worker in plain Python: pyzmq, msgpack and the rules of broker/PROTOCOL.md. Copy it and change the handlers."""
import os, random, signal, time, traceback
import msgpack, zmq, zmq.auth

KEY, BROKER_KEY = os.environ.get("WAGGLE_KEY"), os.environ.get("WAGGLE_BROKER_KEY", "")  # files of `waggle keygen`, for a broker that wants keys
BROKER = os.environ.get("WAGGLE_BROKER", "tcp://127.0.0.1:5555")
CALL, CANCEL, PART, REPLY, JOIN, LEAVE, PULSE, CREDIT = 1, 2, 3, 4, 7, 8, 9, 10
stop = []  # becomes true on SIGTERM


def say(payload):
    yield from ()  # no parts
    return payload


def count(payload):  # what a handler yields are PARTs, what it returns is the REPLY
    if not isinstance(payload, dict) or not isinstance(payload.get("to"), int):
        raise ValueError("to: expected an integer")
    yield from range(1, payload["to"] + 1)
    return {"counted": payload["to"]}


HANDLERS = {"echo.say": say, "echo.count": count}
MANIFEST = {"service": "echo", "version": "1.0.0", "slots": 16, "credit": True, "commands": [
    {"name": "echo.say", "doc": "Answers with what it got.", "retry": "safe", "http": ["POST /echo"]},
    {"name": "echo.count", "doc": "Counts to {to}, one PART for each number.", "retry": "safe", "streams": True}]}


def run(command, payload):
    return (yield from HANDLERS[command](msgpack.unpackb(payload, strict_map_key=False) if payload else None))


def work(socket):
    """Joins and serves until the broker falls silent, or until it has let us go after a stop."""
    def send(*frame):
        socket.send(msgpack.packb(frame))

    def end(lease, status, value):
        del running[lease]
        send(REPLY, lease, status, msgpack.packb(value), None)

    # Of each call: its steps, how many PARTs its caller still takes, and the one that waits for that.
    running, leaving, pulse, heard = {}, False, 1.0, time.monotonic()
    send(JOIN, 1, MANIFEST)
    next_pulse = heard + pulse
    while time.monotonic() < heard + 3 * pulse:
        if socket.poll(0 if any(parts or not waits for _, parts, waits in running.values()) else 50):
            heard = time.monotonic()
            kind, *rest = msgpack.unpackb(socket.recv(), strict_map_key=False)
            if kind == CALL:
                parts = rest[5] if len(rest) > 5 and rest[5] is not None else float("inf")
                running[rest[0]] = [run(rest[1], rest[2]), parts, None]
            elif kind == CREDIT and rest[0] in running:
                running[rest[0]][1] += rest[1]
            elif kind == LEAVE:  # an operator wants us gone
                stop.append(True)
            elif kind == CANCEL and rest[0] in running:  # nobody waits any more, but our slot is taken until we answer
                end(rest[0], 1, {"code": "CANCELLED", "message": "cancelled", "may_have_run": True})
            elif kind == REPLY and rest[:2] == [1, 0]:
                pulse = msgpack.unpackb(rest[2])["pulse_ms"] / 1000
                print(f"ready echo broker={BROKER}", flush=True)
            elif kind == REPLY and rest[0] == 2:  # everything is answered, and we have left
                return
            elif kind == PULSE and rest == [0] and not leaving:  # we have no seat (any more): join again, not all at once
                return time.sleep(random.random() / 4)
            elif kind == REPLY:  # what we sent is refused
                print("the broker says:", msgpack.unpackb(rest[2])["message"], flush=True)
        for lease, (steps, parts, waits) in list(running.items()):  # one step of each call, then listen again
            try:
                part = waits or msgpack.packb(next(steps))  # which is never empty
                if parts > 0:
                    send(PART, lease, part)
                running[lease] = [steps, parts - 1, None] if parts > 0 else [steps, 0, part]
            except StopIteration as done:
                end(lease, 0, done.value)
            except ValueError as why:
                end(lease, 3, {"code": "INVALID_ARGUMENT", "message": str(why), "may_have_run": False})
            except Exception:
                traceback.print_exc()
                end(lease, 13, {"code": "INTERNAL", "message": "the handler failed", "may_have_run": True})
        if time.monotonic() >= next_pulse:
            send(PULSE)
            next_pulse += pulse
        if stop and not leaving:
            send(LEAVE, 2)
            leaving = True


for number in signal.SIGTERM, signal.SIGINT:
    signal.signal(number, lambda *_: stop.append(True))
while not stop:
    with zmq.Context.instance().socket(zmq.DEALER) as connection:
        connection.linger, connection.sndtimeo = 200, 3000
        if KEY:
            connection.curve_publickey, connection.curve_secretkey = zmq.auth.load_certificate(KEY)
            connection.curve_serverkey = zmq.auth.load_certificate(BROKER_KEY)[0] if os.path.exists(BROKER_KEY) else BROKER_KEY.encode()
        connection.connect(BROKER)
        work(connection)
