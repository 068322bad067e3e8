"""The official client of Tidy3D, as programs of its own environment, where nothing of simcampaign is.

Each reads a question: a name, a folder, a kind of simulations (``modes``, or ``nothing``: such that the service has a
solver for them that does nothing), and the width of each.
"""

from __future__ import annotations

COMMON = """
import json, sys, time
from pathlib import Path
import tidy3d as td
from tidy3d import web
from tidy3d.plugins.mode import ModeSolver

td.config.logging.level = "ERROR"
question = json.load(open(sys.argv[1]))

def space(width, step, permittivity, **more):
    core = td.Medium(permittivity=permittivity)
    return td.Simulation(
        size=(4, 3, 0.5),
        grid_spec=td.GridSpec.uniform(step),
        structures=[td.Structure(geometry=td.Box(size=(width, 0.22, td.inf)), medium=core)],
        run_time=1e-12,
        **more,
    )

def modes(width):
    plane = td.Box(size=(3, 2.4, 0))
    mode_spec = td.ModeSpec(num_modes=1)
    return ModeSolver(simulation=space(width, 0.2, 12), plane=plane, mode_spec=mode_spec, freqs=[td.C_0 / 1.55])

# Its client is not thread-safe where it warns, so there is nothing here to warn of.
def nothing(width):
    pulse = td.GaussianPulse(freq0=td.C_0 / 1.55, fwidth=1e13)
    return space(width, 0.05, 2, sources=[td.PointDipole(source_time=pulse, polarization="Ex")])

make = {"modes": modes, "nothing": nothing}[question["kind"]]
simulations = {f"{question['name']}-{n}": make(width) for n, width in enumerate(question["widths"])}

requests = 0

def counted(call):
    def counting(*arguments, **more):
        global requests
        requests += 1
        return call(*arguments, **more)
    return counting

import botocore.httpsession, requests as http
http.Session.send = counted(http.Session.send)
botocore.httpsession.URLLib3Session.send = counted(botocore.httpsession.URLLib3Session.send)
"""

MAKE = """
before = time.perf_counter()
for name, each in simulations.items():
    each.to_hdf5_gz(str(Path(question["folder"], name + ".hdf5.gz")))
"""

FLOOR = """
import multiprocessing, os
sys.path.insert(0, question["worker"])
import worker

def solve(source):
    assert worker.solve(source, source.with_suffix(".result")) == 0

worker._warm_up()
sources = sorted(Path(question["folder"]).glob("*.hdf5.gz"))
with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
    before = time.perf_counter()
    pool.map(solve, sources, chunksize=1)
"""

SEQUENTIAL = """
before = time.perf_counter()
for name, each in simulations.items():
    path = str(Path(question["folder"], name + ".hdf5"))
    web.run(each, task_name=name, folder_name="official", path=path, verbose=False)
"""

BATCH = """
before = time.perf_counter()
batch = web.Batch(simulations=simulations, folder_name="official", verbose=False)
batch.run(path_dir=question["folder"])
"""

END = """
seconds = time.perf_counter() - before
got = len(list(Path(question["folder"]).glob("*.hdf5*")))
print(json.dumps({"seconds": seconds, "requests": requests, "files": got}))
"""
