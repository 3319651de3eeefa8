#!/usr/bin/env python3
"""Majordomo clients and workers in plain pyzmq, written from ZeroMQ RFCs 7 (0.1), 8 (MMI) and 18 (0.2), with nothing of waggle's.

Run as a program it is a worker: majordomo.py VERSION SERVICE, with the broker in WAGGLE_BROKER. It answers with the body that it got,
except that "parts" makes a worker of 0.2 send three partial replies first, and "hold" is never answered."""
import os
import sys
import time

import zmq

HEARTBEAT, LIVENESS = 2.5, 3  # seconds, and how many of them: as in the ZeroMQ guide
CODES = {"0.1": {"READY": b"\1", "REQUEST": b"\2", "FINAL": b"\3", "HEARTBEAT": b"\4", "DISCONNECT": b"\5"},
         "0.2": {"READY": b"\1", "REQUEST": b"\2", "PARTIAL": b"\3", "FINAL": b"\4", "HEARTBEAT": b"\5", "DISCONNECT": b"\6"}}


def connected(broker, kind=zmq.DEALER, **options):
    socket = zmq.Context.instance().socket(kind)
    socket.linger = 0
    for name, value in options.items():
        setattr(socket, name, value)
    socket.connect(broker)
    return socket


class Client:
    """One request at a time over a REQ socket in 0.1, as RFC 7 recommends, and a DEALER in 0.2."""

    def __init__(self, broker, version):
        self.version = version
        self.socket = connected(broker, zmq.REQ if version == "0.1" else zmq.DEALER)

    def send(self, service, *body):
        head = [b"MDPC01"] if self.version == "0.1" else [b"MDPC02", b"\1"]
        self.socket.send_multipart([*head, service.encode(), *body])

    def receive(self, service, within=10.0):
        """(partial bodies, final body)"""
        parts, give_up = [], time.monotonic() + within
        while True:
            left = give_up - time.monotonic()
            if left <= 0 or not self.socket.poll(left * 1000):
                raise TimeoutError(f"no reply from {service} within {within} s")
            frames = self.socket.recv_multipart()
            if self.version == "0.1":
                assert frames[:2] == [b"MDPC01", service.encode()] and len(frames) >= 3, frames
                return parts, frames[2:]
            assert frames[0] == b"MDPC02" and frames[2] == service.encode() and len(frames) >= 4, frames
            if frames[1] == b"\3":
                return parts, frames[3:]
            assert frames[1] == b"\2", frames
            parts.append(frames[3:])

    def call(self, service, *body, within=10.0):
        self.send(service, *body)
        return self.receive(service, within)[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Worker:
    """One service. `next` is to be called in a circle; it gives requests, and does all else that the RFCs ask of a worker."""

    def __init__(self, broker, version, service):
        self.broker, self.version, self.service = broker, version, service
        self.codes = CODES[version]
        self.socket = None
        self.times_connected = 0
        self.connect()

    def connect(self):
        if self.socket:
            self.socket.close()
        self.socket = connected(self.broker)
        self.times_connected += 1
        self.send("READY", self.service.encode())
        self.broker_dead_at = time.monotonic() + HEARTBEAT * LIVENESS

    def send(self, verb, *frames):
        head = [b"", b"MDPW01"] if self.version == "0.1" else [b"MDPW02"]
        self.socket.send_multipart([*head, self.codes[verb], *frames])
        self.heartbeat_at = time.monotonic() + HEARTBEAT

    def receive(self):
        """(verb, frames) of one message from the broker."""
        frames = self.socket.recv_multipart()
        if self.version == "0.1":
            assert frames.pop(0) == b"", frames
        assert frames[0] == (b"MDPW01" if self.version == "0.1" else b"MDPW02"), frames
        return next(verb for verb, code in self.codes.items() if code == frames[1]), frames[2:]

    def next(self, within):
        """(address, body) of the next request, or None."""
        if self.socket.poll(max(0.0, min(within, self.heartbeat_at - time.monotonic())) * 1000):
            verb, frames = self.receive()
            self.broker_dead_at = time.monotonic() + HEARTBEAT * LIVENESS
            if verb == "REQUEST":
                assert len(frames) >= 3 and frames[1] == b"", frames
                return frames[0], frames[2:]
            if verb == "DISCONNECT":
                self.connect()
            else:
                assert (verb, frames) == ("HEARTBEAT", []), (verb, frames)
        if time.monotonic() >= self.broker_dead_at:
            self.connect()
        elif time.monotonic() >= self.heartbeat_at:
            self.send("HEARTBEAT")
        return None

    def reply(self, address, *body, verb="FINAL"):
        self.send(verb, address, b"", *body)


def main():
    worker = Worker(os.environ["WAGGLE_BROKER"], sys.argv[1], sys.argv[2])
    print("ready majordomo", flush=True)
    while True:
        request = worker.next(0.1)
        if request is None:
            continue
        address, body = request
        if body == [b"hold"]:
            print("called", flush=True)
            continue
        if body == [b"parts"] and worker.version == "0.2":
            for number in b"1", b"2", b"3":
                worker.reply(address, number, verb="PARTIAL")
        worker.reply(address, *body)


if __name__ == "__main__":
    main()
