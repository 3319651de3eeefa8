"""A worker that takes calls of `silent.wait` and never answers: to be killed in the middle of one. It says on its standard output
when it has a call."""
import os

import msgpack
import zmq

socket = zmq.Context().socket(zmq.DEALER)
socket.connect(os.environ["WAGGLE_BROKER"])
socket.send(msgpack.packb([7, 1, {"service": "silent", "version": "1", "slots": 2,
                                  "commands": [{"name": "silent.wait", "http": ["GET /silent"]}]}]))
while True:
    if socket.poll(200):
        frame = msgpack.unpackb(socket.recv())
        if frame[0] == 4 and frame[1] == 1:
            print("ready silent", flush=True)
        elif frame[0] == 1:
            print("called", flush=True)
    socket.send(msgpack.packb([9]))
