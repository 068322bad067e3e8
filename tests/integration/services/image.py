"""The example image of ``deployments/aws/image``, built without any registry and without a network.

Its Dockerfile begins with an image of Python. In the place of that one stands an image made of this machine's Python:
interpreter, standard library, the packages that the Dockerfile asks for, and the shared libraries of all these.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import docker
from docker.errors import ImageNotFound

PROJECT = Path(__file__).parents[3]
RECIPE = "deployments/aws/image"
PACKAGES = ("pip", "numpy", "h5py", "obstore", "typing_extensions")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
"""obstore starts only where there are some, though it needs none to talk to a server without TLS."""

_LEFT_OUT = {
    "__pycache__",
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "lib2to3",
    "site-packages",
}
_LIBRARY = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)


def build_image(host: str, tag: str) -> None:
    """Build the image with the daemon at ``host`` under ``tag``; quick if it was built before."""
    with closing(docker.DockerClient(base_url=host, timeout=120)) as client:
        base = f"simcampaign-test-base:{_fingerprint()}"
        try:
            client.images.get(base)
        except ImageNotFound:
            _import_base(client, base)
        client.images.build(
            fileobj=_context(),
            custom_context=True,
            dockerfile=f"{RECIPE}/Dockerfile",
            buildargs={"BASE": base},
            network_mode="none",
            tag=tag,
            rm=True,
        )


def _fingerprint() -> str:
    packages = sorted(path.name for path in _installed())
    return hashlib.sha256(repr((sys.version, packages, Path(__file__).read_text())).encode()).hexdigest()[:12]


def _installed() -> Iterator[Path]:
    """Yield the folders and files of the packages in this virtual environment."""
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for name in PACKAGES:
            for pattern in (name, f"{name}.py", f"{name}.libs", f"{name}-*.dist-info"):
                yield from Path(folder).glob(pattern)


def _import_base(client: docker.DockerClient, name: str) -> None:
    repository, _, tag = name.partition(":")
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            _add_python(tar)
        file.seek(0)
        changes = ["ENV PATH=/usr/local/bin:/usr/bin:/bin"]
        chunks = iter(lambda: file.read(2**20), b"")
        client.api.import_image_from_stream(chunks, repository=repository, tag=tag, changes=changes)


def _add_python(tar: tarfile.TarFile) -> None:
    python = Path(sys.executable).resolve()
    ask = [str(python), "-c", "import sysconfig as s; print(s.get_path('stdlib'), s.get_path('purelib'), sep='\\n')"]
    library, site = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.split()
    files: dict[str, Path] = {str(python): python, "/bin/sh": Path("/bin/sh")}
    files |= {str(path): path for path in _files(Path(library))}
    for package in _installed():
        files |= {f"{site}/{path.relative_to(package.parent)}": path for path in _files(package)}
    here = Path(sys.prefix)
    for found in _libraries(files.values()):
        if not Path(found).is_relative_to(here):
            files.setdefault(found, Path(found))
    for target, source in sorted(files.items()):
        tar.add(source.resolve(), target.lstrip("/"), recursive=False)
    if CERTIFICATES.exists():
        tar.add(CERTIFICATES.resolve(), str(CERTIFICATES).lstrip("/"))
    _add_folder(tar, "tmp", 0o1777)
    _add_text(tar, "etc/passwd", "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
    link = tarfile.TarInfo("usr/local/bin/python")
    link.type, link.linkname = tarfile.SYMTYPE, str(python)
    tar.addfile(link)


def _files(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
    for path in root.rglob("*") if root.is_dir() else ():
        inner = path.relative_to(root).parts
        is_left_out = _LEFT_OUT.intersection(inner) or path.name == "EXTERNALLY-MANAGED" or path.suffix == ".a"
        if path.is_file() and not is_left_out:
            yield path


def _libraries(files: Iterable[Path]) -> set[str]:
    """Return the shared libraries that programs and libraries are linked with, the loader included."""
    ldd = shutil.which("ldd")
    assert ldd is not None
    linked = [str(path) for path in files if ".so" in path.name or path.parent.name == "bin"]
    linked.append("/bin/sh")
    said = subprocess.run([ldd, *linked], check=False, capture_output=True, text=True).stdout
    return set(_LIBRARY.findall(said))


def _add_folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    folder = tarfile.TarInfo(name)
    folder.type, folder.mode = tarfile.DIRTYPE, mode
    tar.addfile(folder)


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(text.encode())
    tar.addfile(entry, io.BytesIO(text.encode()))


def _context() -> io.BytesIO:
    """Return what the Dockerfile copies, as ``docker build`` would send it."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for folder in (RECIPE, "models"):
            for path in sorted((PROJECT / folder).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    tar.add(path, str(path.relative_to(PROJECT)), filter=_without_owner)
    context.seek(0)
    return context


def _without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Forget who made a file and when, so that the same files make the same layer."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry
