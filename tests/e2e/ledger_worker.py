"""A member of the consumer group `ledger` that writes down every event of `order.*` before it acknowledges it, and fails some the first
time. usage: ledger_worker.py FILE INSTANCE. It joins again by itself when the broker has gone or has forgotten it."""
import os
import sys
import time

import msgpack
import zmq

ledger = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
context = zmq.Context()
told = False


def connected():
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(os.environ["WAGGLE_BROKER"])
    return socket


def send(*frame):
    try:
        socket.send(msgpack.packb(frame), zmq.DONTWAIT)
    except zmq.Again:
        pass  # there is no broker now


def join():
    send(7, 1, {"service": "ledger", "instance": sys.argv[2], "slots": 4, "bundle": 16,
                "events": [{"topic": "order.*", "from": "beginning", "attempts": 100, "backoff_ms": 20, "backoff_max_ms": 200}]})


socket = connected()
join()
heard = next_pulse = time.monotonic()
while True:
    if socket.poll(50):
        heard = time.monotonic()
        bundle = msgpack.Unpacker()
        bundle.feed(socket.recv())
        for frame in bundle:
            if frame[0] == 4 and frame[1] == 1 and not told:
                told = True
                print(f"ready ledger instance={sys.argv[2]}", flush=True)
            elif frame[0] == 9 and frame[1] == 0:
                join()
            elif frame[0] == 6:
                lease, about, headers = frame[1], frame[5], frame[4]
                if about["sequence"] % 7 == 0 and about["attempt"] == 1:
                    send(4, lease, 13, None, None)
                    continue
                os.write(ledger, f"{about['sequence']} {about['attempt']} {headers['key']} {headers['event_id']}\n".encode())
                send(4, lease, 0, None, None)
    now = time.monotonic()
    if now >= next_pulse:
        send(9)
        next_pulse = now + 0.1
    if now - heard > 0.8:
        socket.close()
        socket = connected()
        join()
        heard = now
