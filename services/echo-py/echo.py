#!/usr/bin/env python3
"""A waggle worker in plain Python: pyzmq, msgpack and the rules of broker/PROTOCOL.md. Copy it and change the handlers."""
import argparse, os, random, signal, sys, time, traceback
import msgpack, zmq

CALL, CANCEL, PART, REPLY, JOIN, LEAVE, PULSE = 1, 2, 3, 4, 7, 8, 9
STATUS = {"OK": 0, "CANCELLED": 1, "INVALID_ARGUMENT": 3, "INTERNAL": 13}


def say(payload):
    return payload


def count(payload):  # a generator streams: what it yields are PARTs, what it returns is the REPLY
    if not isinstance(payload, dict) or not isinstance(payload.get("to"), int):
        raise ValueError("to: expected an integer")
    yield from range(1, payload["to"] + 1)
    return {"counted": payload["to"]}


HANDLERS = {"echo.say": say, "echo.count": count}
MANIFEST = {"service": "echo", "version": "1.0.0", "slots": 16, "commands": [
    {"name": "echo.say", "doc": "Answers with what it got.", "retry": "safe", "http": ["POST /echo"]},
    {"name": "echo.count", "doc": "Counts to {to}, one PART for each number.", "retry": "safe", "streams": True}]}


def run(command, payload):
    """Any handler as a generator, so that many calls can take turns."""
    result = HANDLERS[command](msgpack.unpackb(payload, strict_map_key=False) if payload else None)
    return (yield from result) if hasattr(result, "send") else result


def serve(broker, stop):
    """Joins and works. True: told to stop, and everything is answered. False: the broker is lost; a new socket should try again."""
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.linger, socket.sndtimeo, socket.maxmsgsize = 0, 3000, 8 << 20
    socket.connect(broker)
    running = {}  # lease → generator
    joined = leaving = False
    pulse_s, silence_s = 1.0, 3.0  # until the welcome says otherwise
    heard = pulsed = time.monotonic()

    def send(*frame):
        socket.send(msgpack.packb(frame))

    def answer(lease, status, value):
        send(REPLY, lease, STATUS[status], msgpack.packb(value), None)

    def fail(lease, status, why):
        answer(lease, status, {"code": status, "message": why, "may_have_run": True})

    send(JOIN, 1, MANIFEST)
    while True:
        if socket.poll(0 if running else 100):
            heard = time.monotonic()
            bundle = msgpack.Unpacker(strict_map_key=False)
            bundle.feed(socket.recv())
            for kind, *rest in bundle:
                if kind == CALL:
                    running[rest[0]] = run(rest[1], rest[2])
                elif kind == CANCEL and rest[0] in running:  # nobody waits for it, but its slot is taken until we answer
                    del running[rest[0]]
                    fail(rest[0], "CANCELLED", "cancelled")
                elif kind == REPLY and rest[:2] == [1, STATUS["OK"]]:
                    welcome, joined = msgpack.unpackb(rest[2]), True
                    pulse_s = welcome["pulse_ms"] / 1000
                    silence_s = pulse_s * welcome["missed_pulses_max"]
                    print(f"ready echo broker={broker} commands={welcome['seats']}", flush=True)
                elif kind == REPLY and rest[0] == 2:  # the answer to LEAVE comes when nothing is in hand
                    return True
                elif kind == REPLY:  # the JOIN is refused, or (id 0) something that we sent is wrong
                    print("the broker says:", msgpack.unpackb(rest[2])["message"], file=sys.stderr)
                elif kind == PULSE and rest == [0] and joined and not leaving:  # taken for dead, or the broker has restarted
                    running.clear()
                    joined = False
                    time.sleep(random.uniform(0, 0.25))  # not all workers at once
                    send(JOIN, 1, MANIFEST)
        for lease, steps in list(running.items()):  # one step of each call, then listen again: CANCEL and PULSE never wait
            try:
                send(PART, lease, msgpack.packb(next(steps)))
                continue
            except StopIteration as end:
                answer(lease, "OK", end.value)
            except ValueError as why:
                fail(lease, "INVALID_ARGUMENT", str(why) or "the payload is not one msgpack value")
            except zmq.ZMQError:
                raise
            except Exception:
                traceback.print_exc()
                fail(lease, "INTERNAL", "the handler failed; its log says why")
            del running[lease]
        now = time.monotonic()
        if now - heard > silence_s:
            return leaving
        if joined and now - pulsed >= pulse_s:
            send(PULSE)
            pulsed = now
        if stop and not leaving:
            if not joined:
                return True
            send(LEAVE, 2)
            leaving = True


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--broker", default=os.environ.get("WAGGLE_BROKER", "tcp://127.0.0.1:5555"))
    broker = options.parse_args().broker
    stop = []
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, lambda *_: stop.append(True))
    while not stop:
        try:
            if serve(broker, stop):
                break
        except zmq.Again:  # the broker does not read
            pass
        finally:
            zmq.Context.instance().destroy(linger=0)


if __name__ == "__main__":
    main()
