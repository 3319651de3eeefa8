#!/usr/bin/env python3
"""Plants bugs in copies of the broker's and the SDK's sources and sees whether the simulator finds them.

usage: mutants.py BUILD [--check] [--search] [NAME...]

BUILD is a build folder in which waggle_sim and waggle_sim_events have been built. For each mutant of mutants_list.py (or those named) only the sources
that change are compiled, beside the folder's objects; then the seed that mutants.txt names is run, which must fail.
  --check    only looks whether each mutant's old text is still there, once
  --search   looks for a seed where none is named or the one that is does not catch it, and writes mutants.txt
The last line is "N passed, N failed".
"""
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

import mutants_list

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SEEDS = os.path.join(HERE, "mutants.txt")
SEARCHED_SEEDS = 250
STEPS = 20000


def known_seeds():
    out = {}
    with open(SEEDS, encoding="utf-8") as file:
        for line in file:
            words = line.split("#")[0].split()
            if words:
                out[words[0]] = (int(words[1]), int(words[2]))
    return out


def is_there_once(mutant):
    with open(os.path.join(ROOT, mutant[1]), encoding="utf-8") as file:
        return file.read().count(mutant[2]) == 1


def sources_of(path):
    """The sources that have code of this file in them."""
    if path.endswith(".cpp"):
        return [path]
    if path.startswith("include/"):
        return ["tests/sim/events/subscriber.cpp" if "subscription" in path else "tests/sim/caller.cpp" if "caller" in path else "tests/sim/worker.cpp"]
    core = "broker/core"
    return [f"{core}/{name}" for name in sorted(os.listdir(os.path.join(ROOT, core))) if name.endswith(".cpp")]


def program_of(mutant):
    """Which simulator is to find it."""
    return "waggle_sim_events" if mutant[0].startswith("events.") else "waggle_sim"


def objects_of(folder, program):
    """All objects that the program is linked from, by their sources."""
    out = {}
    for target, sources in (("broker/CMakeFiles/waggle_broker_core.dir", "broker"), ("broker/CMakeFiles/waggle_broker_events.dir", "broker"),
                            (f"tests/CMakeFiles/{program}.dir", "tests")):
        top = os.path.join(folder, target)
        for where, _, names in os.walk(top):
            for name in names:
                if name.endswith(".o"):
                    path = os.path.join(where, name)
                    out[f"{sources}/{os.path.relpath(path, top)[:-2]}"] = path
    return out


def build(mutant, folder, into):
    """The simulator with this bug in it; the compiler's words if it does not compile."""
    _, path, old, new, _ = mutant
    copy = os.path.join(into, path)
    os.makedirs(os.path.dirname(copy), exist_ok=True)
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read().replace(old, new)
    with open(copy, "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(folder, "compile_commands.json"), encoding="utf-8") as file:
        commands = {os.path.relpath(each["file"], ROOT): each["command"] for each in json.load(file)}
    objects = []
    for source in sources_of(path):
        words = shlex.split(commands[source])
        words = [word for word in words if not word.endswith("ccache")]
        target = os.path.join(into, source.replace("/", "_") + ".o")
        words[words.index("-o") + 1] = target
        original = os.path.join(ROOT, source)
        words = [copy if word == original and source == path else word for word in words]
        words[1:1] = [f"-I{into}", f"-I{into}/include", f"-iquote{into}"]
        words = ["-O0" if word in ("-O3", "-O2") else word for word in words]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return None, done.stderr
        objects.append((source, target))
    linked = objects_of(folder, program_of(mutant))
    linked.update(objects)
    program = os.path.join(into, program_of(mutant))
    done = subprocess.run(["c++", "-o", program, *sorted(linked.values()), "-lfmt", "-lzmq", "-lyaml-cpp", "-lpthread"],
                          capture_output=True, text=True, check=False)
    return (program, "") if done.returncode == 0 else (None, done.stderr)


def failing_seed(program, seed, count, steps):
    """The first seed that fails, and what it says; (None, "") if none does."""
    command = [program, "--seed", str(seed), "--seeds", str(count), "--steps", str(steps), "--stop"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=600, check=False)
        out, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        out, code = (late.stdout or b"").decode(errors="replace"), -1
    begun = len(re.findall(r"^seed \d+:", out, re.M))
    if code == 0:
        return None, ""
    wrong = re.search(r"^FAILED: (.*)$", out, re.M)
    if wrong:
        return seed + begun - 1, wrong.group(1)
    return seed + begun, "it hangs" if code == -1 else f"it ends with code {code}"


def try_one(mutant, folder, seeds, search):
    name = mutant[0]
    with tempfile.TemporaryDirectory(prefix="waggle-mutant-") as into:
        program, why = build(mutant, folder, into)
        if program is None:
            return name, None, "does not compile: " + why[:500]
        if name in seeds:
            seed, steps = seeds[name]
            found, says = failing_seed(program, seed, 1, steps)
            if found is not None or not search:
                return name, (seed, steps) if found is not None else None, says
        elif not search:
            return name, None, "no seed is known; run with --search"
        found, says = failing_seed(program, 1, SEARCHED_SEEDS, STEPS)
        if found is not None and failing_seed(os.path.join(folder, "bin", program_of(mutant)), found, 1, STEPS)[0] is not None:
            return name, None, f"seed {found} fails without it, too"
        return name, None if found is None else (found, STEPS), says


def main():
    words = sys.argv[1:]
    flags = {word for word in words if word.startswith("--")}
    names = [word for word in words if not word.startswith("--")]
    if not names or flags - {"--check", "--search"}:
        sys.exit(__doc__)
    folder, names = os.path.abspath(names[0]), set(names[1:])
    wanted = [each for each in mutants_list.MUTANTS if not names or each[0] in names]
    passed = failed = 0
    lost = [each[0] for each in wanted if not is_there_once(each)]
    for name in lost:
        print(f"{name}: its text is not in the source once; choose another")
    failed += len(lost)
    wanted = [each for each in wanted if each[0] not in lost]
    if "--check" in flags:
        passed = len(wanted)
    else:
        seeds = known_seeds()
        by_name = {each[0]: each for each in wanted}
        with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            tries = [pool.submit(try_one, each, folder, seeds, "--search" in flags) for each in wanted]
            for each in concurrent.futures.as_completed(tries):
                name, seed, says = each.result()
                if seed is None:
                    failed += 1
                    print(f"SURVIVED {name} ({by_name[name][4]}): {says}", flush=True)
                else:
                    passed += 1
                    seeds[name] = seed
                    print(f"caught {name} ({by_name[name][4]}), seed {seed[0]}: {says[:140]}", flush=True)
        if "--search" in flags:
            with open(SEEDS, "w", encoding="utf-8") as file:
                file.write("# mutant, seed and steps that catch it; written by mutants.py --search\n")
                for each in mutants_list.MUTANTS:
                    if each[0] in seeds:
                        file.write(f"{each[0]} {seeds[each[0]][0]} {seeds[each[0]][1]}  # {each[4]}\n")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
