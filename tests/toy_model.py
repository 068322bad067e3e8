"""A model without physics: it does to each run of its input what the input says, and notes what it really did.

    python toy_model.py INPUT OUTPUT NOTES

A line of the input is ``NAME KEY FIRST_SEED LAST_SEED WHAT VALUE``. Each run appends its start and its end to NOTES,
one write each, so that a run that was executed twice cannot go unseen. WHAT is one of

    ok           writes its two files           half     writes only the first
    silent       writes nothing                 exit3    says why and exits with 3
    once         exits with 3 the first time    hold     waits until the file NOTES.go is there
    nap:SECONDS  sleeps, then as ok
"""

import os
import sys
import time

PATIENCE = 300.0


def note(path, *words):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, f"{' '.join(map(str, words))}\n".encode())
    os.close(descriptor)


def write(path, text):
    with open(f"{path}.part", "w") as file:  # noqa: PTH123 - this must start quickly
        file.write(text)
    os.replace(f"{path}.part", path)  # noqa: PTH105


def simulate(stem, what, value, notes):
    first_time = not os.path.exists(f"{notes}.{os.path.basename(stem)}")  # noqa: PTH110, PTH119
    if what == "exit3" or (what == "once" and first_time):
        note(f"{notes}.{os.path.basename(stem)}", "tried")  # noqa: PTH119
        sys.stdout.write("step 1 went well\nERROR the toy broke\n")
        sys.exit(3)
    if what.startswith("nap:"):
        time.sleep(float(what[4:]))
    if what == "hold":
        end = time.monotonic() + PATIENCE
        while not os.path.exists(f"{notes}.go") and time.monotonic() < end:  # noqa: PTH110
            time.sleep(0.02)
    for extension in {"silent": (), "half": ("a",)}.get(what, ("a", "b")):
        write(f"{stem}.{extension}", f"{value}\n")


def main(source, output, notes):
    os.makedirs(output, exist_ok=True)  # noqa: PTH103
    with open(source) as file:  # noqa: PTH123
        lines = file.read().splitlines()
    for name, key, first, last, what, value in (line.split() for line in lines if line.strip()):
        for seed in range(int(first), int(last) + 1):
            note(notes, "start", key, seed, os.getpid(), time.time())
            simulate(os.path.join(output, f"{name}_{key}_{seed:04d}"), what, value, notes)  # noqa: PTH118
            note(notes, "end", key, seed, os.getpid(), time.time())
    sys.stdout.write(f"all runs of {os.path.basename(source)} are over\n")  # noqa: PTH119


main(*sys.argv[1:])
