"""A worker that answers with the headers of its call, by a command that changes nothing and one that does."""
import os

import msgpack
import zmq

COMMANDS = [{"name": "headers.show", "retry": "safe", "http": ["GET /headers"]}, {"name": "headers.take", "retry": "once"}]

socket = zmq.Context().socket(zmq.DEALER)
socket.connect(os.environ["WAGGLE_BROKER"])
socket.send(msgpack.packb([7, 1, {"service": "headers", "version": "1", "slots": 64, "commands": COMMANDS}]))
while True:
    if socket.poll(100):
        frame = msgpack.unpackb(socket.recv())
        if frame[0] == 4 and frame[1] == 1:
            print("ready headers", flush=True)
        elif frame[0] == 1:
            socket.send(msgpack.packb([4, frame[1], 0, msgpack.packb(frame[5] if len(frame) > 5 and isinstance(frame[5], dict) else frame), None]))
    socket.send(msgpack.packb([9]))
