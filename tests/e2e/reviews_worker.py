"""A worker that serves `reviews.of_customer`, which the shop's dashboard can do without."""
import os

import msgpack
import zmq

socket = zmq.Context().socket(zmq.DEALER)
socket.connect(os.environ["WAGGLE_BROKER"])
socket.send(msgpack.packb([7, 1, {"service": "reviews", "version": "1", "slots": 4, "commands": [{"name": "reviews.of_customer", "retry": "safe"}]}]))
while True:
    if socket.poll(100):
        frame = msgpack.unpackb(socket.recv())
        if frame[0] == 4 and frame[1] == 1:
            print("ready reviews", flush=True)
        elif frame[0] == 1:
            socket.send(msgpack.packb([4, frame[1], 0, msgpack.packb([{"text": "sweet"}]), None]))
    socket.send(msgpack.packb([9]))
