"""Majordomo clients and workers, written from ZeroMQ RFC 7 (0.1) and RFC 18 (0.2). As a program: a worker that echoes.

usage: majordomo_peer.py 0.1|0.2 SERVICE      WAGGLE_BROKER says where
"""
import os
import sys
import time

import zmq

READY, REQUEST = b"\x01", b"\x02"
PARTIAL = b"\x03"  # 0.2 only
CODES = {"0.1": {"final": b"\x03", "heartbeat": b"\x04", "disconnect": b"\x05"},
         "0.2": {"final": b"\x04", "heartbeat": b"\x05", "disconnect": b"\x06"}}
HEARTBEAT = 2.5  # seconds; RFC 7 leaves it to the implementation, and this is the guide's


def header(version, who):
    return [b"", b"MDP%s01" % who] if version == "0.1" else [b"MDP%s02" % who]


class Client:
    """0.1 is a REQ socket, which adds and takes the empty frame itself; 0.2 a DEALER."""

    def __init__(self, endpoint, version):
        self.version = version
        self.socket = zmq.Context.instance().socket(zmq.REQ if version == "0.1" else zmq.DEALER)
        self.socket.linger, self.socket.rcvtimeo = 0, 20_000
        self.socket.connect(endpoint)

    def send(self, service, *body):
        kind = [b"MDPC01"] if self.version == "0.1" else [b"MDPC02", b"\x01"]
        self.socket.send_multipart([*kind, service.encode(), *body])

    def receive(self):
        """(is it the last, the body)"""
        frames = self.socket.recv_multipart()
        if self.version == "0.1":
            assert frames[0] == b"MDPC01", frames
            return True, frames[2:]
        assert frames[0] == b"MDPC02" and frames[1] in (b"\x02", b"\x03"), frames
        return frames[1] == b"\x03", frames[3:]

    def ask(self, service, *body):
        """All bodies up to the last."""
        self.send(service, *body)
        out = []
        while True:
            last, got = self.receive()
            out.append(got)
            if last:
                return out


def work(endpoint, version, service):
    """Echoes; a body that begins with `parts` is sent frame by frame first, one that begins with `die` ends the process."""
    codes, ready = CODES[version], False
    while True:
        socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.linger = 0
        socket.connect(endpoint)

        def send(command, *rest):
            socket.send_multipart([*header(version, b"W"), command, *rest])

        send(READY, service.encode())
        heard, next_heartbeat = time.monotonic(), time.monotonic() + HEARTBEAT
        while time.monotonic() < heard + 3 * HEARTBEAT:
            if socket.poll(100):
                frames = socket.recv_multipart()[len(header(version, b"W")):]
                heard = time.monotonic()
                if not ready:
                    ready = True
                    print(f"ready {service} version={version}", flush=True)
                if frames[0] == REQUEST:
                    address, empty, *body = frames[1:]
                    assert empty == b""
                    if body[0] == b"die":
                        os._exit(9)
                    if body[0] == b"parts" and version == "0.2":
                        for part in body[1:]:
                            send(PARTIAL, address, b"", part)
                    send(codes["final"], address, b"", *body)
                elif frames[0] == codes["disconnect"]:
                    break
            if time.monotonic() >= next_heartbeat:
                send(codes["heartbeat"])
                next_heartbeat += HEARTBEAT
        socket.close()


if __name__ == "__main__":
    work(os.environ["WAGGLE_BROKER"], *sys.argv[1:])
