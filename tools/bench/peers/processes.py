"""Processes that are measured: started, watched by /proc, and ended whatever happens."""
import ctypes
import os
import select
import signal
import socket
import subprocess
import time


class Failed(Exception):
    """A system did not start, died, or did not do what it should; says why, with the end of its log."""


def end_with_parent():
    """In the child: it ends when this script does, however that ends (prctl(PR_SET_PDEATHSIG))."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def plain_environment():
    """Whoever has told waggle's programs something by the environment does not mean these."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WAGGLE_")}


def free_ports(count):
    """Ports that nobody has now, for programs that cannot take any and say which."""
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


class Others:
    """What share of the processors everybody else has taken: a figure of one run, which says what its rate is worth."""

    def __init__(self):
        self.since, self.busy = time.monotonic(), self.busy_seconds()

    @staticmethod
    def busy_seconds():
        """Of the machine, and what its host took away: all but idle and waiting for a disk."""
        ticks = list(map(int, read("/proc/stat").split("\n", 1)[0].split()[1:9]))
        return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")

    def share(self, ours):
        """When the measured processes have taken so many CPU seconds since."""
        elapsed = (time.monotonic() - self.since) * os.cpu_count()
        return min(1, max(0, (self.busy_seconds() - self.busy - ours) / elapsed))


class Process:
    """One process with its children. `label` says which part of its system it is."""

    def __init__(self, label, arguments, logs, folder=None, environment=None, talks=False):
        self.label = label
        self.arguments = [str(each) for each in arguments]
        self.output = os.path.join(logs, label + ".out")
        self.log = os.path.join(logs, label + ".log")
        with open(self.output, "wb") as out, open(self.log, "wb") as log:
            self.popen = subprocess.Popen(  # a session of its own: a Ctrl-C reaches this script, which ends all
                self.arguments, stdin=subprocess.PIPE if talks else subprocess.DEVNULL, stdout=subprocess.PIPE if talks else out, stderr=log,
                cwd=folder or logs, env={**plain_environment(), **(environment or {})}, start_new_session=True, preexec_fn=end_with_parent)
        self.unread = b""

    @property
    def pid(self):
        return self.popen.pid

    def complaint(self, what):
        last = (read(self.log) or read(self.output)).strip().splitlines()[-8:]
        return f"{self.label}: {what}" + "".join("\n      " + line for line in last)

    def wait_for(self, found, seconds=20):
        """Waits until `found()` is something, and returns it."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            if got := found():
                return got
            if self.popen.poll() is not None:
                raise Failed(self.complaint(f"ended with {self.popen.returncode}"))
            time.sleep(0.01)
        raise Failed(self.complaint("is not ready"))

    def ready(self, seconds=20):
        """The words behind `ready`, once it has said so: those with a = as a dictionary, the others in a list."""
        def said():
            return next((line for line in read(self.output).split("\n")[:-1] if line.startswith("ready")), None)
        words = self.wait_for(said, seconds).split()[1:]
        return dict(each.split("=", 1) for each in words if "=" in each), [each for each in words if "=" not in each]

    def line(self, seconds):
        """The next line of one that talks."""
        give_up = time.monotonic() + seconds
        while b"\n" not in self.unread:
            if not select.select([self.popen.stdout], [], [], max(0, give_up - time.monotonic()))[0]:
                raise Failed(self.complaint("has nothing to say any more"))
            got = os.read(self.popen.stdout.fileno(), 4096)
            if not got:
                self.popen.wait()
                raise Failed(self.complaint(f"ended with {self.popen.returncode}"))
            self.unread += got
        line, self.unread = self.unread.split(b"\n", 1)
        return line.decode(errors="replace")

    def pids(self):
        out = [self.pid]
        for each in out:
            for task in os.listdir(f"/proc/{each}/task") if os.path.isdir(f"/proc/{each}/task") else []:
                out += map(int, read(f"/proc/{each}/task/{task}/children").split())
        return out

    def cpu_seconds(self):
        """Of all its threads, its children, and those of them that have ended."""
        ticks = 0
        for pid in self.pids():
            after_name = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
            ticks += sum(map(int, after_name[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def megabytes(self, what):
        """VmHWM: resident at the most so far; VmRSS: now. With its children, whose shared pages count once for each."""
        out = 0
        for pid in self.pids():
            for line in read(f"/proc/{pid}/status").splitlines():
                if line.startswith(what + ":"):
                    out += int(line.split()[1])
        return out / 1024

    def stop(self):
        if self.popen.stdin:
            self.popen.stdin.close()
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(3)
            except subprocess.TimeoutExpired:
                pass
        try:  # what it has left behind, too
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()
        if self.popen.stdout:
            self.popen.stdout.close()


class Group:
    """The processes of one run."""

    def __init__(self, folder):
        self.folder = folder
        self.all = []

    def start(self, label, arguments, **more):
        made = Process(label, arguments, self.folder, **more)
        self.all.append(made)
        return made

    def check(self):
        for each in self.all:
            if each.popen.poll() is not None:
                raise Failed(each.complaint(f"ended with {each.popen.returncode}"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in reversed(self.all):
            each.stop()
