#!/usr/bin/env python3
"""Writes inputs for fuzzing to begin with: usage: seeds.py FOLDER. FOLDER/bundle gets the examples of broker/PROTOCOL.md,
FOLDER/manifest those that are manifests and one that has everything, FOLDER/http requests behind their four bytes, FOLDER/tls scripts; what core begins with is in tests/fuzz/corpus/core."""
import os
import re
import sys

import msgpack

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
FULL = {"service": "shop", "version": "2.1.0", "instance": "shop-1", "slots": 16, "quick_slots": 64, "bundle": 64, "of a newer version": [1, None], "commands": [
    {"name": "order.list", "retry": "safe", "doc": "Lists orders.", "http": ["GET /orders", "GET /orders/{id}"], "request": SCHEMA},
    {"name": "order.place", "retry": "idempotent", "streams": True, "reply": SCHEMA, "group": "order", "needs_key": True},
    {"name": "order.drop", "quick": True}], "credit": True}


def write(folder, name, content):
    os.makedirs(os.path.join(sys.argv[1], folder), exist_ok=True)
    with open(os.path.join(sys.argv[1], folder, name), "wb") as file:
        file.write(content)


with open(os.path.join(root, "broker", "PROTOCOL.md"), encoding="utf-8") as file:
    examples = re.findall(r"^```hex (\S+)\n(.*?)^```", file.read(), re.M | re.S)
for name, text in examples:
    content = bytes.fromhex("".join(line.split(";")[0] for line in text.splitlines()))
    write("bundle", name, content)
    frames = msgpack.Unpacker()
    frames.feed(content)
    first = next(frames)
    if first[0] == 7:
        write("manifest", name, msgpack.packb(first[2]))
write("manifest", "full", msgpack.packb(FULL))
HTTP = {
    "get": "GET /a/b?c=d%20e&f HTTP/1.1\r\nHost: a\r\n\r\n" * 3,
    "length": "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "chunks": "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n",
    "old": "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nHEAD http://b:1/c HTTP/1.0\r\n\r\n",
    "expect": "PUT /%2e%2F HTTP/1.1\r\nHost: [::1]:80\r\nExpect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
    "options": "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n"}
for name, text in HTTP.items():
    write("http", name, b"seed" + text.encode())
# What is said and changed between two that speak TLS, behind their seed; the last is for a server alone.
for number, script in enumerate((b"\x02\0\0\0\0\1\2\3\2\0\6\1\7", b"\0\0\0\0\0\x10\2\x10\2\5\0", b"\4\0\0\0\0\x10\2\3\3\4\0\0\6\7", b"\1\x16\3\1\0\4\1\0\xff\xff")):
    write("tls", str(number), script)
# Schemas, a line end, and a value.
SCHEMAS = [
    ('{"type":"object","properties":{"name":{"type":"string","minLength":1,"pattern":"^[a-z]+$"},"age":{"type":["integer","null"],"minimum":0}},'
     '"required":["name"],"additionalProperties":false}', '{"name":"ada","age":36}'),
    ('{"type":"array","items":{"$ref":"#/$defs/each"},"minItems":1,"uniqueItems":true,"$defs":{"each":{"enum":[1,"a",null,[2]]}}}', '[1,"a",null,[2]]'),
    ('{"oneOf":[{"type":"number","multipleOf":0.5,"exclusiveMaximum":10},{"const":18446744073709551615},{"not":{"type":"string"}}]}', '9.5'),
    ('{"if":{"properties":{"kind":{"const":"a"}}},"then":{"required":["x"]},"else":{"minProperties":2},"patternProperties":{"^x":{"type":"boolean"}},'
     '"propertyNames":{"maxLength":4},"dependentRequired":{"x":["kind"]}}', '{"kind":"a","x":true}'),
    ('{"prefixItems":[{"format":"date-time"},{"format":"uuid"},{"format":"email"}],"items":{"format":"ipv6"},"contains":{"type":"string"},"maxContains":3}',
     '["2026-11-24T10:00:00Z","123e4567-e89b-12d3-a456-426614174000","a@b.c","::1"]'),
    ('{"anyOf":[{"contentEncoding":"base64","type":"string"},true,false]}', '"aGk="')]
for number, (schema, value) in enumerate(SCHEMAS):
    write("schema", str(number), (schema + "\n" + value).encode())
