"""A tiny image, made of this machine's busybox without any registry."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path

import docker
from docker.errors import ImageNotFound

BUSYBOX = "simcampaign-test-busybox:1"
DEFAULT_SAYS = "nobody told me what to do"
_LIBRARY = re.compile(r"(/\S+) \(0x")
_PIECE = 65536


class NoBusybox(Exception):  # noqa: N818 - not being there is no error of ours
    """There is no busybox to make an image of."""


def make_busybox(host: str) -> None:
    """Give the daemon at ``host`` the image ``BUSYBOX``. Raises ``NoBusybox``."""
    program = shutil.which("busybox")
    if program is None:
        raise NoBusybox("busybox is not installed (Debian: apt-get install busybox)")
    with closing(docker.APIClient(base_url=host, version="auto", timeout=60)) as client:
        try:
            client.inspect_image(BUSYBOX)
        except ImageNotFound:
            file = io.BytesIO(_image(Path(program)))
            pieces = iter(lambda: file.read(_PIECE), b"")
            changes = ["ENV PATH=/bin", f'CMD ["echo", "{DEFAULT_SAYS}"]']
            said = client.import_image_from_stream(pieces, changes=changes)
            client.tag(json.loads(said.splitlines()[0])["status"], *BUSYBOX.split(":"))


def _image(program: Path) -> bytes:
    target = io.BytesIO()
    names = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    linked = subprocess.run(["ldd", program], check=False, capture_output=True, text=True).stdout
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("mnt", 0o755), ("tmp", 0o1777)):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            tar.addfile(folder)
        tar.add(program.resolve(), "bin/busybox")
        for library in sorted(set(_LIBRARY.findall(linked))):
            tar.add(Path(library).resolve(), library.lstrip("/"))
        for name in names:
            if name != "busybox":
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        users = b"root:x:0:0:root:/:/bin/sh\n"
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(users)
        tar.addfile(entry, io.BytesIO(users))
    return target.getvalue()
