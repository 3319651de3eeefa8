#!/usr/bin/env python3
"""Installs waggle into a prefix, builds the README's programs against it with find_package, and runs them.
usage: run.py BUILD-FOLDER; ends with "N passed, N failed"."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
from network import REPOSITORY, Network, Program, eventually

BUILD = os.path.abspath(sys.argv[1])


def run(*command):
    got = subprocess.run(command, capture_output=True, text=True)
    assert got.returncode == 0, f"{command}\n{got.stdout}\n{got.stderr}"
    return got.stdout


def programs_of_the_readme():
    with open(os.path.join(REPOSITORY, "README.md"), encoding="utf-8") as file:
        blocks = re.findall(r"```cpp\n(.*?)```", file.read(), re.S)
    assert len(blocks) == 4, "the README has a hello, a shop, a mailer and a caller"
    return dict(zip(("hello.cpp", "shop.cpp", "mailer.cpp", "caller.cpp"), blocks))


def main():
    with tempfile.TemporaryDirectory() as folder:
        prefix, source, build = (os.path.join(folder, each) for each in ("prefix", "source", "build"))
        run("cmake", "--install", BUILD, "--prefix", prefix)
        shutil.copytree(HERE, source)
        for name, text in programs_of_the_readme().items():
            with open(os.path.join(source, name), "w", encoding="utf-8") as file:
                file.write(text)
        headers = sorted(os.path.relpath(os.path.join(at, each), os.path.join(prefix, "include"))
                         for at, _folders, files in os.walk(os.path.join(prefix, "include")) for each in files)
        assert "waggle/service.hpp" in headers
        for number in (1, 2):
            with open(os.path.join(source, f"every_header_{number}.cpp"), "w", encoding="utf-8") as file:
                file.write("".join(f"#include <{each}>\n" for each in headers) + ("int main() {}\n" if number == 1 else ""))
        run("cmake", "-S", source, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Debug",
            *(["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []))
        run("cmake", "--build", build)
        without = subprocess.run([os.path.join(build, "hello"), "--http", "127.0.0.1:0"], capture_output=True, text=True, timeout=30)
        assert without.returncode == 2 and "link waggle::hybrid" in without.stderr, without
        with Program(os.path.join(build, "hello_hybrid"), "--http", "127.0.0.1:0") as hybrid:
            with urllib.request.urlopen(f"http://{hybrid.value('http')}/hello?name=Ada", timeout=30) as got:
                assert got.read() == b'{"message":"hello Ada"}'
            with urllib.request.urlopen(f"http://{hybrid.value('http')}/docs", timeout=30) as got:
                assert b"swagger-ui-bundle.js" in got.read()
            assert hybrid.stop() == 0
        with Network(os.path.join(prefix, "bin")) as net:
            net.start(os.path.join(build, "hello"), "--broker", net.endpoint)
            said = subprocess.run([os.path.join(build, "caller")], capture_output=True, text=True, timeout=30,
                                  env={**os.environ, "WAGGLE_BROKER": net.endpoint})
            assert said.stdout == "hello Ada\n", said
            code, out, err = net.cli("call", "hello.say", '{"name":"prefix"}')
            assert code == 0 and "hello prefix" in out, (out, err)
            net.start(os.path.join(build, "shop"), "--broker", net.endpoint)
            assert net.cli("call", "shop.order", '{"customer":"c","items":[]}')[0] == 13  # it is an actor
            code, out, err = net.cli("call", "shop.order", '{"customer":"c","items":[]}', "--key", "c")
            assert code == 19 and "nothing in the order" in err, (code, out, err)
            mailer = net.start(os.path.join(build, "mailer"), "--broker", net.endpoint)
            code, out, err = net.cli("emit", "shop.ordered", '{"customer":"Ada","items":["honey"]}')
            assert code == 0, (code, out, err)
            net.cli("drain", mailer.value("instance"), "--budget", "20s")  # it writes what it has printed when it ends
            eventually(lambda: mailer.process.poll() is not None, what="the mailer has left")
            assert "attempt 1: a letter to Ada" in mailer.read(), mailer.output


try:
    main()
    print("ok      package: the README's programs build against an installed waggle and run")
    print("1 passed, 0 failed")
except Exception as e:
    print(f"FAILED  package: the README's programs build against an installed waggle and run\n{e}")
    print("0 passed, 1 failed")
    sys.exit(1)
