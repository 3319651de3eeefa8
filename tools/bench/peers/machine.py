"""Where it was measured, and what."""
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys

from .processes import read


def said_by(arguments, pattern=r"(\S.*)"):
    """What a program says of its version; empty if it is not there."""
    program = shutil.which(arguments[0])
    if not program:
        return ""
    try:
        got = subprocess.run([program] + arguments[1:], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    found = re.search(pattern, got.stdout + got.stderr)
    return found.group(1).strip() if found else ""


def pinned(package, of):
    """The version that npm is told to install."""
    try:
        return json.loads(read(os.path.join(os.path.dirname(os.path.abspath(__file__)), package, "package.json")))["dependencies"][of]
    except (ValueError, LookupError):
        return ""


def load_line(what):
    return f"{what}: {' '.join(read('/proc/loadavg').split()[:3])}"


def facts(given, root):
    """By name, in order; what is not there is left out."""
    cpu = re.search(r"model name\s*:\s*(.*)", read("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s*(\d+)", read("/proc/meminfo"))
    system = re.search(r'PRETTY_NAME="(.*)"', read("/etc/os-release"))
    compiler = re.search(r"CMAKE_CXX_COMPILER:[A-Z]+=(.*)", read(os.path.join(given.build, "CMakeCache.txt")))
    kind = re.search(r"CMAKE_BUILD_TYPE:[A-Z]+=(.*)", read(os.path.join(given.build, "CMakeCache.txt")))
    out = {
        "processor": f"{cpu.group(1) if cpu else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{int(memory.group(1)) / 1024 / 1024:.1f} GB" if memory else "",
        "kernel": f"{platform.system()} {platform.release()}",
        "system": system.group(1) if system else "",
        "compiler": f"{said_by([compiler.group(1), '--version'])}, {kind.group(1) if kind else '?'}" if compiler else "",
        "waggle": said_by(["git", "-C", root, "describe", "--always", "--dirty"]),
        "libzmq": said_by(["pkg-config", "--modversion", "libzmq"]),
        "nats-server": said_by(["nats-server", "--version"], r"v?(\d\S*)"),
        "libnats": said_by(["pkg-config", "--modversion", "libnats"]),
        "gRPC": said_by(["pkg-config", "--modversion", "grpc++"]),
        "nginx": said_by(["nginx", "-v"], r"nginx/(\S+)"),
        "wrk": said_by(["wrk", "-v"], r"wrk (\S+)"),
        "node": said_by(["node", "--version"], r"v?(\d\S*)"),
        "Nest": pinned("nest", "@nestjs/core"),
        "Moleculer": pinned("moleculer", "moleculer"),
    }
    return {name: value for name, value in out.items() if value}


def lines(given, root):
    known = facts(given, root)
    yield f"{known.pop('processor')}, {known.pop('memory', '?')}; {known.pop('kernel')}; {known.pop('system', '')}; {known.pop('compiler', '')}."
    yield "; ".join(f"{name} {value}" for name, value in known.items()) + "."
    command = shlex.join(["tools/bench/compare"] + sys.argv[1:])
    yield f"`{command}`: {given.rounds} rounds of {given.seconds:g} s, each behind {given.warm_up:g} s of warm-up; medians (least–most)."
    yield "To it: waggle's figure divided by that system's. CPU seconds are those of all processes of a system, with the calls' client."
    load = load_line("Load at the start")
    busy = float(load.split()[-3]) > 0.5
    yield load + (", so the machine is busy with something else: the rates are worth little, and the CPU seconds not much." if busy else ".")
