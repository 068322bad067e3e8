"""The official client of Tidy3D, as programs of its own environment, where nothing of simcampaign is."""

from __future__ import annotations

COMMON = """
import json, sys, time
from pathlib import Path
import tidy3d as td
from tidy3d import web
from tidy3d.plugins.mode import ModeSolver

td.config.logging.level = "ERROR"
question = json.load(open(sys.argv[1]))

def modes(width):
    silicon = td.Medium(permittivity=12)
    simulation = td.Simulation(
        size=(4, 3, 0.5),
        grid_spec=td.GridSpec.uniform(0.2),
        structures=[td.Structure(geometry=td.Box(size=(width, 0.22, td.inf)), medium=silicon)],
        run_time=1e-12,
    )
    plane = td.Box(size=(3, 2.4, 0))
    return ModeSolver(simulation=simulation, plane=plane, mode_spec=td.ModeSpec(num_modes=1), freqs=[td.C_0 / 1.55])

simulations = {f"{question['name']}-{n}": modes(width) for n, width in enumerate(question["widths"])}

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
