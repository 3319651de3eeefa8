"""A worker that takes calls of `job.run` and `job.other` and answers all it has at hand when it gets SIGUSR1.
usage: patient_worker.py INSTANCE [SLOTS]. It leaves the broker when it is asked to, and ends."""
import os
import signal
import sys
import time

import msgpack
import zmq

finish = []
signal.signal(signal.SIGUSR1, lambda *_: finish.append(True))
socket = zmq.Context().socket(zmq.DEALER)
socket.connect(os.environ["WAGGLE_BROKER"])


def send(*frame):
    socket.send(msgpack.packb(frame))


send(7, 1, {"service": "job", "version": "1", "instance": sys.argv[1], "slots": int((sys.argv + ["2"])[2]),
            "commands": [{"name": "job.run", "doc": "Runs until it is told to end."}, {"name": "job.other"}]})
at_hand, next_pulse = [], time.monotonic()
while True:
    if socket.poll(20):
        frame = msgpack.unpackb(socket.recv())
        if frame[0] == 4 and frame[1] == 1:
            print(f"ready job instance={sys.argv[1]}", flush=True)
        elif frame[0] == 1:
            at_hand.append(frame[1])
            print("called", flush=True)
        elif frame[0] == 8:
            send(8, 2)
        elif frame[0] == 4 and frame[1] == 2:
            break
    if finish:
        finish.clear()
        for lease in at_hand:
            send(4, lease, 0, msgpack.packb("done"), None)
        at_hand.clear()
    if time.monotonic() >= next_pulse:
        send(9)
        next_pulse = time.monotonic() + 0.1
