"""Starts waggle's programs for a test, on ports that the system chooses, and stops what it started."""
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ANY = "tcp://127.0.0.1:*"
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def eventually(holds, within=10.0, what="the condition"):
    """Waits for a condition with a deadline; returns what it returned."""
    give_up = time.monotonic() + within
    while True:
        got = holds()
        if got:
            return got
        if time.monotonic() > give_up:
            raise AssertionError(f"{what} did not come true within {within} s")
        time.sleep(0.01)


class Program:
    """A program that says `ready` on standard output when it serves."""

    def __init__(self, *command, env=None, within=20.0):
        self.command = [str(each) for each in command]
        self.errors = tempfile.TemporaryFile(mode="w+")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WAGGLE_")}
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                        env={**clean, "WAGGLE_DATA": "none", **(env or {})}, start_new_session=True)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.output = ""
        self.ready = eventually(lambda: self._ready(), within, " ".join(self.command) + " ready")

    def _ready(self):
        self.read()
        found = re.search(r"^ready.*$", self.output, re.M)
        if found:
            return found.group(0)
        if self.process.poll() is not None:
            raise AssertionError(f"{self.command} ended with {self.process.returncode}: {self.log()}")

    def read(self):
        try:
            self.output += self.process.stdout.read() or ""
        except TypeError:
            pass  # nothing there yet
        return self.output

    def value(self, key):
        return re.search(rf" {key}=(\S+)", self.ready).group(1)

    def log(self):
        self.errors.seek(0)
        return self.errors.read()

    def stop(self, how=signal.SIGTERM, within=10.0):
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.command} did not stop within {within} s of signal {how}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


class ToolsRun:
    """tools/run, up to where it says how to stop it; what it has started goes with it."""

    def __init__(self, *flags, env=None):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WAGGLE_")}
        self.data = tempfile.TemporaryDirectory(prefix="waggle-")
        ports = {"WAGGLE_DATA": self.data.name, "WAGGLE_COMMANDS": ANY, "WAGGLE_EVENTS_IN": ANY, "WAGGLE_EVENTS_OUT": ANY, "WAGGLE_HTTP": "127.0.0.1:0"}
        self.process = subprocess.Popen([os.path.join(REPOSITORY, "tools", "run"), *flags], stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, env={**clean, **(env or ports)}, start_new_session=True)
        self.said = ""
        try:
            while "Ctrl-C" not in self.said:
                line = self.process.stdout.readline()
                assert line, self.said
                self.said += line
        except BaseException:
            self.__exit__()  # nobody else would
            raise

    def stop(self, how=signal.SIGTERM, within=10.0):
        self.process.send_signal(how)
        self.process.wait(within)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        self.data.cleanup()


class Network:
    """A broker and a gateway, and whatever else is started on them."""

    def __init__(self, bin_folder, pulse="1s", routes=None, events=None, gateway=(), broker=()):
        self.bin = bin_folder
        self.broker_flags = broker
        self.events = events  # that the gateway lets out
        self.gateway_flags = gateway
        self.started = []
        self.data = tempfile.TemporaryDirectory(prefix="waggle-")
        try:
            self.begin(pulse, routes)
        except BaseException:
            self.__exit__()  # nobody else would stop what has been started
            raise

    def begin(self, pulse, routes):
        self.broker = self.start("waggle-broker", "--commands", ANY, "--events-in", ANY, "--events-out", ANY, "--pulse", pulse, "--data", self.data.name,
                                 *self.broker_flags)
        self.endpoint = self.broker.value("commands")
        self.gateway = self.start("waggle-gateway", "--http", "127.0.0.1:0", "--broker", self.endpoint,
                                  *(["--routes", routes] if routes else []), *(["--events", self.events] if self.events else []), *self.gateway_flags,
                                  env={"WAGGLE_HTTP_THREADS": "2"})  # whatever the machine has: what threads share is to be seen
        self.http = "http://" + self.gateway.value("http")

    def start(self, program, *arguments, env=None):
        made = Program(os.path.join(self.bin, program) if os.sep not in program else program, *arguments, env=env)
        self.started.append(made)
        return made

    def hello(self, *arguments):
        made = self.start("waggle-hello", "--broker", self.endpoint, *arguments)
        eventually(lambda: self.get("/hello?name=x")[0] == 200, what="GET /hello answered with 200")
        return made

    def python(self, path, *arguments):
        made = Program("/usr/bin/python3", os.path.join(REPOSITORY, path), *arguments, env={"WAGGLE_BROKER": self.endpoint})
        self.started.append(made)
        return made

    def get(self, path, method="GET", body=None, headers=None):
        """(status, headers, body) of one HTTP request."""
        asked = urllib.request.Request(self.http + path, method=method, data=body, headers=headers or {})
        try:
            with urllib.request.urlopen(asked, timeout=30) as got:
                return got.status, got.headers, got.read()
        except urllib.error.HTTPError as got:
            with got:
                return got.code, got.headers, got.read()

    def cli(self, *arguments, stdin=None, within=30.0, env=None):
        """(exit code, standard output, standard error) of the CLI."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WAGGLE_")}
        got = subprocess.run([os.path.join(self.bin, "waggle"), *arguments], capture_output=True, text=True, timeout=within,
                             input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                             env={**clean, "WAGGLE_BROKER": self.endpoint, **(env or {})})
        return got.returncode, got.stdout, got.stderr

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in reversed(self.started):
            each.__exit__()
        self.data.cleanup()


def as_json(text):
    return json.loads(text)
