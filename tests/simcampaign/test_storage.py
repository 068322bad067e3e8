"""Locations: exact names, atomic writes, errors that speak, and listings that are never wrong."""

from __future__ import annotations

import errno
import http.server
import json
import os
import random
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simcampaign.errors import LocationError, NetworkError
from simcampaign.storage import Location
from simcampaign.storage.keyspace import between
from simcampaign.storage.listing import Listing

EXACT = ["a=b,c+d@e.csv", "~x", "#y", "a#1", "p%q", "x%20y", "s p a c e", "ü'\".csv", "b[1]{2}|*?<>\\z", "d/e/f.tar.xz"]
HOSTILE = ["plain", "with space", "quo'te\"s", "line\nbreak", "üñí 細胞", "#hash %41 ~", "-rf", "$HOME;`id`"]


def keys(location: Location, prefix: str = "") -> set[str]:
    found = [key for chunk in location.list(prefix) for key in chunk]
    assert len(found) == len(set(found)), "a key was listed twice"
    return set(found)


def walked(root: Path) -> set[str]:
    """What the standard library sees: the judge of every listing."""
    return {
        str(path.relative_to(root))
        for folder, _, names in os.walk(root, followlinks=True)
        for path in (Path(folder, name) for name in names)
        if path.is_file()
    }


@pytest.fixture(params=["directory", "s3"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "directory":
        return Location.open(str(tmp_path / "place"))
    return Location.open(f"s3://{request.getfixturevalue('s3').bucket}/some/prefix")


# --- what every location does


@pytest.mark.parametrize("key", EXACT)
def test_what_is_written_is_read_listed_and_named_exactly(location: Location, key: str) -> None:
    assert not location.exists(key)
    assert location.read_if_there(key) is None
    location.write(key, b"one")
    location.write(key, b"two")
    assert location.exists(key)
    assert location.read(key) == b"two"
    assert keys(location) == {key}


def test_names_on_disk_are_the_keys(tmp_path: Path) -> None:
    Location.open(str(tmp_path)).write_many((key, b"") for key in EXACT)
    assert walked(tmp_path) == set(EXACT)


def test_names_in_the_bucket_are_prefix_and_key(s3: Any) -> None:
    Location.open(f"s3://{s3.bucket}/pre fix/").write_many((key, b"") for key in EXACT)
    assert keys(Location.open(f"s3://{s3.bucket}")) == {f"pre fix/{key}" for key in EXACT}


def test_text_is_utf8_or_an_error(location: Location) -> None:
    location.write("good", "größe".encode())
    location.write("bad", b"\xff")
    assert location.read_text("good") == "größe"
    with pytest.raises(LocationError, match=r"'bad'.*not UTF-8"):
        location.read_text("bad")


def test_reading_what_is_not_there_names_key_and_location(location: Location) -> None:
    with pytest.raises(LocationError, match=r"there is no 'a/b\.csv'") as caught:
        location.read("a/b.csv")
    assert str(location) in str(caught.value)


def test_many_files_are_written_and_counted(location: Location) -> None:
    count = 60
    assert location.write_many(((f"in/{index}.xml", str(index).encode()) for index in range(count)), 8) == count
    assert keys(location, "in") == {f"in/{index}.xml" for index in range(count)}
    assert location.read("in/59.xml") == b"59"


def test_files_of_this_machine_are_copied_in_and_out(location: Location, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(range(256)) * 50_000)  # larger than what S3 is sent in one part
    location.upload("in/large", source)
    assert location.read("in/large") == source.read_bytes()
    assert location.download("in/large", target)
    assert target.read_bytes() == source.read_bytes()
    target.unlink()
    assert not location.download("in/other", target)
    assert not target.exists()


def test_bulk_writes_hold_only_a_window_in_memory(location: Location) -> None:
    ahead = 0
    seen = 0

    def items() -> Iterator[tuple[str, bytes]]:
        nonlocal ahead, seen
        for index in range(80):
            if index % 20 == 19:
                seen = len(keys(location))
                ahead = max(ahead, index - seen)
            yield f"{index}", b"x"

    location.write_many(items(), 4)
    assert seen > 0
    assert ahead <= 2 * 4


def test_first_error_of_a_bulk_write_names_its_key_and_ends_it(location: Location) -> None:
    taken: list[int] = []

    def items() -> Iterator[tuple[str, bytes]]:
        for index in range(1000):
            taken.append(index)
            yield (f"ok/{index}" if index != 5 else "../up"), b"x"

    with pytest.raises(LocationError, match=r"'\.\./up'"):
        location.write_many(items(), 4)
    assert len(taken) == 6
    assert len(keys(location)) <= 5


def test_copies_are_copies_and_leave_the_source_alone(location: Location) -> None:
    location.write_many([("inits/a.csv", b"A"), ("inits/b.csv", b"B")])
    location.copy("inits/a.csv", "deep/er/a.csv")
    assert location.copy_many([("inits/a.csv", "x/a.csv"), ("inits/b.csv", "x/b.csv")]) == 2
    location.write("x/a.csv", b"changed")
    assert location.read("inits/a.csv") == location.read("deep/er/a.csv") == b"A"
    assert location.read("x/b.csv") == b"B"


def test_changing_a_copied_file_in_place_leaves_its_source(tmp_path: Path) -> None:
    place = Location.open(str(tmp_path))
    place.write("a", b"A")
    place.copy("a", "b")
    with place.path("b").open("r+b") as file:
        file.write(b"!")
    assert place.read("a") == b"A"


def test_copying_what_is_not_there_names_it_and_makes_nothing(location: Location) -> None:
    with pytest.raises(LocationError, match="nope"):
        location.copy("nope", "target")
    assert keys(location) == set()


def test_deleting_takes_missing_keys_as_deleted(location: Location) -> None:
    location.write_many([("a", b""), ("b/c", b""), ("d", b"")])
    location.delete_many(iter(["a", "b/c", "never/was"]))
    assert keys(location) == {"d"}


def test_prefix_of_a_listing_is_a_folder_not_a_beginning(location: Location) -> None:
    location.write_many([("run/1", b""), ("run/deep/2", b""), ("runner/3", b""), ("run4", b"")])
    assert keys(location, "run") == keys(location, "run/") == {"run/1", "run/deep/2"}
    assert keys(location, "nothing") == keys(location, "run4") == set()


def test_checking_that_one_can_write_leaves_nothing(location: Location, tmp_path: Path) -> None:
    location.check_writable()
    assert keys(location) == set()
    assert walked(tmp_path) == set()
    if location.is_local:
        assert not location.path().exists()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../up",
        "a/../b",
        "..",
        ".",
        "a//b",
        "a/",
        "./a",
        "line\nbreak",
        "nul\0",
        "bell\x07",
        "\x7f",
        "\ud800",
        "x" * 256,
    ],
)
def test_keys_that_lead_elsewhere_are_refused_by_name(location: Location, key: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: location.read(key),
        lambda: location.exists(key),
        lambda: location.write(key, b""),
        lambda: location.write_many([(key, b"")]),
        lambda: location.copy("a", key),
        lambda: location.copy(key, "a"),
        lambda: location.delete_many([key]),
    ]
    for call in calls:
        with pytest.raises(LocationError, match="is no key of a file"):
            call()


# --- naming locations


@pytest.mark.parametrize("name", HOSTILE)
def test_directories_with_hostile_names_work(tmp_path: Path, name: str) -> None:
    place = Location.open(str(tmp_path / name))
    place.write("a/b.csv", b"x")
    assert (tmp_path / name / "a" / "b.csv").read_bytes() == b"x"
    assert place.path("a/b.csv") == tmp_path / name / "a" / "b.csv"
    assert place.url() == str(place) == str(tmp_path / name)
    assert keys(place) == {"a/b.csv"}


def test_relative_directories_and_home_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Location.open("out/put/").url() == str(tmp_path / "out" / "put")
    assert Location.open("~/x").url("k") == str(tmp_path / "home" / "x" / "k")
    assert Location.open(".") == Location.open(str(tmp_path))
    opened = Location.open("out")
    monkeypatch.chdir("/")
    assert opened.url() == str(tmp_path / "out")


def test_buckets_have_urls_and_no_paths() -> None:
    place = Location.open("s3://bucket/a/b/")
    assert (str(place), place.url("c/d"), place.is_local) == ("s3://bucket/a/b", "s3://bucket/a/b/c/d", False)
    assert Location.open("s3://bucket").url() == "s3://bucket"
    assert place == Location.open("s3://bucket/a/b")
    with pytest.raises(LocationError, match="not on this machine"):
        place.path("c")


@pytest.mark.parametrize(
    "text", ["", "a\0b", "gs://bucket/x", "https://host/x", "s3://", "s3://UPPER/x", "s3://bucket/../x"]
)
def test_what_is_no_location_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(LocationError) as caught:
        Location.open(text)
    assert caught.value.hint


# --- directories that cannot be written


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.decode()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_full_disk_names_the_file_and_keeps_what_is_whole(small_disk: Path) -> None:
    place = Location.open(str(small_disk))
    data = os.urandom(10_000)
    with pytest.raises(LocationError, match=r"cannot write 'in/\d+.xml' in .*small: disk full") as caught:
        place.write_many((f"in/{index}.xml", data) for index in range(100))
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert "free space" in caught.value.hint
    written = walked(small_disk)
    assert 5 < len(written) < 30
    assert all(place.read(key) == data for key in written), "a part of a file was left behind"
    assert keys(place) == written


def test_overwriting_on_a_full_disk_keeps_the_old_file(small_disk: Path) -> None:
    place = Location.open(str(small_disk))
    place.write("manifest.csv", b"old" * 20_000)
    with pytest.raises(LocationError, match="disk full"):
        place.write("manifest.csv", b"new" * 80_000)
    assert place.read("manifest.csv") == b"old" * 20_000
    assert walked(small_disk) == {"manifest.csv"}


def test_read_only_disk_is_found_before_anything_is_written(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for place in (Location.open(str(small_disk)), Location.open(str(small_disk / "not" / "yet"))):
        with pytest.raises(LocationError, match="cannot write to it: Read-only file system"):
            place.check_writable()


def test_location_below_a_file_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    place = Location.open(str(tmp_path / "file" / "deep"))
    with pytest.raises(LocationError, match="Not a directory"):
        place.check_writable()
    with pytest.raises(LocationError, match="'a'"):
        place.write("a", b"")
    assert keys(place) == set()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_forbidden_directory_is_found_before_anything_is_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(LocationError, match="Permission denied"):
        Location.open(str(tmp_path)).check_writable()


def test_readers_never_see_a_part_of_a_file(tmp_path: Path) -> None:
    place = Location.open(str(tmp_path))
    contents = [bytes([letter]) * 300_000 for letter in b"ab"]
    place.write("x", contents[0])
    done = threading.Event()
    torn: list[int] = []

    def look() -> None:
        while not done.is_set():
            if place.read("x") not in contents:
                torn.append(1)

    reader = threading.Thread(target=look)
    reader.start()
    for index in range(200):
        place.write("x", contents[index % 2])
    done.set()
    reader.join()
    assert not torn


def test_written_files_obey_the_umask(tmp_path: Path) -> None:
    Location.open(str(tmp_path)).write("x", b"")
    (tmp_path / "y").write_bytes(b"")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == stat.S_IMODE((tmp_path / "y").stat().st_mode)


# --- listing again


def later() -> int:
    """A clock of somebody who lists when all present changes are old."""
    return time.time_ns() + 10_000_000_000


def scanned(listing: Listing, prefix: str = "") -> set[str]:
    found = [key for chunk in listing.scan(prefix) for key in chunk]
    assert len(found) == len(set(found))
    return set(found)


def tick(folder: Path) -> None:
    """Return when the file system's clock has moved on, so that the next change has another time stamp."""
    probe = Path(tempfile.mkdtemp(dir=folder))
    start = probe.stat().st_ctime_ns
    deadline = time.monotonic() + 5
    while probe.stat().st_ctime_ns == start and time.monotonic() < deadline:
        probe.chmod(0o700)
    probe.rmdir()


def test_second_scan_reads_only_directories_that_changed(tmp_path: Path) -> None:
    root, cache = tmp_path / "place", tmp_path / "cache"
    Location.open(str(root)).write_many((f"day{day}/out/{index}", b"") for day in range(5) for index in range(3))
    first = Listing.load(str(root), cache, later)
    assert scanned(first) == walked(root)
    assert (first.read, first.reused) == (11, 0)
    first.save()

    again = Listing.load(str(root), cache, later)
    assert scanned(again) == walked(root)
    assert (again.read, again.reused) == (0, 11)

    (root / "day3" / "out" / "new").touch()
    assert scanned(again) == walked(root)
    assert (again.read, again.reused) == (1, 10)


def test_directory_that_changed_just_before_it_was_read_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "a").touch()
    listing = Listing(str(tmp_path / "place"))
    for _ in range(2):
        assert scanned(listing) == {"a"}
        assert (listing.read, listing.reused) == (1, 0)


def test_directory_put_in_place_of_another_is_read_again(tmp_path: Path) -> None:
    root = tmp_path / "place"
    for name in ("out", "other"):
        (root / name).mkdir(parents=True)
        (root / name / name).touch()
        os.utime(root / name, ns=(1, 1))
    listing = Listing(str(root), clock=later)
    scanned(listing)
    shutil.rmtree(root / "out")
    (root / "other").rename(root / "out")
    assert scanned(listing) == {"out/other"}


def test_times_set_back_do_not_hide_a_new_file(tmp_path: Path) -> None:
    os.utime(tmp_path, ns=(1, 1))
    listing = Listing(str(tmp_path), clock=later)
    assert scanned(listing) == set()
    tick(tmp_path)
    (tmp_path / "new").touch()
    os.utime(tmp_path, ns=(1, 1))
    assert scanned(listing) == {"new"}


def test_links_are_followed_looked_up_anew_and_do_not_go_round(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (elsewhere / "a").touch()
    (root / "folder").symlink_to(elsewhere)
    (root / "file").symlink_to(elsewhere / "a")
    (root / "round").symlink_to(root)
    (elsewhere / "back").symlink_to(root)
    listing = Listing(str(root), clock=later)
    assert scanned(listing) == {"folder/a", "file"}
    (elsewhere / "a").unlink()
    (elsewhere / "b").touch()
    assert scanned(listing) == {"folder/b"}


def test_scanning_one_folder_keeps_what_is_known_of_the_others(tmp_path: Path) -> None:
    place = Location.open(str(tmp_path))
    place.write_many((f"{name}/x", b"") for name in "abc")
    listing = Listing(str(tmp_path), clock=later)
    scanned(listing)
    assert scanned(listing, "b") == {"b/x"}
    assert scanned(listing) == {"a/x", "b/x", "c/x"}
    assert (listing.read, listing.reused) == (0, 4)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "truncated": lambda record: record[:-20],
    "flipped": lambda record: record.replace(b"one", b"two"),
    "nonsense": lambda _: b"\xff\xfe{",
    "no seal": lambda record: record.partition(b"\n")[2],
    "other": lambda _: json.dumps({"a": 1}).encode(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_cache_means_a_full_listing(tmp_path: Path, damage: str) -> None:
    root, cache = tmp_path / "place", tmp_path / "cache"
    Location.open(str(root)).write("one", b"")
    first = Listing.load(str(root), cache, later)
    scanned(first)
    first.save()
    (record,) = cache.iterdir()
    record.write_bytes(DAMAGES[damage](record.read_bytes()))
    again = Listing.load(str(root), cache, later)
    assert scanned(again) == {"one"}
    assert (again.read, again.reused) == (1, 0)


def test_cache_of_one_location_is_not_used_for_another(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for name in ("one", "two"):
        place = Location.open(str(tmp_path / name))
        place.write(name, b"")
        assert {key for chunk in place.scan("", cache) for key in chunk} == {name}
    assert len(list(cache.iterdir())) == 2


def test_cache_that_cannot_be_written_does_no_harm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    place = Location.open(str(tmp_path / "place"))
    place.write("a", b"")
    assert [key for chunk in place.scan("", tmp_path / "file") for key in chunk] == ["a"]
    assert "cannot write" in caplog.text


def test_by_default_the_cache_is_in_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = Location.open(str(tmp_path / "place"))
    place.write("a", b"")
    assert [key for chunk in place.scan() for key in chunk] == ["a"]
    assert walked(tmp_path / "cache")
    assert keys(place) == {"a"}


def test_names_that_cannot_be_keys_and_unfinished_files_are_not_listed(tmp_path: Path) -> None:
    for name in (b"line\nbreak", b"not-utf8-\xff", b".simcampaign-123", b"good"):
        (tmp_path / os.fsdecode(name)).touch()
    os.mkfifo(tmp_path / "pipe")
    place = Location.open(str(tmp_path))
    assert keys(place) == {"good"}
    assert {key for chunk in place.scan("", tmp_path / "cache") for key in chunk} == {"good"}


names = st.sampled_from(["a", "b", "c.csv", "d d"])
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: Path(*parts))
changes = st.tuples(st.sampled_from(["touch", "remove", "mkdir", "rename", "link", "scan", "reload"]), paths, paths)


def change(root: Path, what: str, one: Path, other: Path) -> None:
    """Do something to a tree; what cannot be done there is not done."""
    if not all((root / path).parent.resolve().is_relative_to(root.resolve()) for path in (one, other)):
        return  # links that go round have a test of their own: a plain walk never ends on them
    try:
        if what == "touch":
            (root / one).touch()
        elif what == "mkdir":
            (root / one).mkdir(parents=True)
        elif what == "rename":
            (root / one).rename(root / other)
        elif what == "link":
            (root / one).symlink_to(root.parent / "linked")
        elif what == "remove" and (root / one).is_dir() and not (root / one).is_symlink():
            shutil.rmtree(root / one)
        elif what == "remove":
            (root / one).unlink()
    except OSError:
        return


@given(st.lists(changes, max_size=25))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_scan_equals_a_full_walk_after_any_changes(steps: list[tuple[str, Path, Path]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder) / "place", Path(folder) / "cache"
        root.mkdir()
        (Path(folder) / "linked").mkdir()
        (Path(folder) / "linked" / "inside").touch()
        listing = Listing.load(str(root), cache, later)
        for what, one, other in [*steps, ("scan", Path(), Path())]:
            change(root, what, one, other)
            if what in {"scan", "reload"}:
                assert scanned(listing) == walked(root)
                listing.save()
                tick(Path(folder))
            if what == "reload":
                listing = Listing.load(str(root), cache, later)


# --- the network


@contextmanager
def serving(answer: Callable[[http.server.BaseHTTPRequestHandler], tuple[int, bytes]]) -> Iterator[str]:
    """Run a web server that answers every request by ``answer``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = answer(self)
            self.send_response(status)
            self.send_header("ETag", "x")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that points the environment at an S3 endpoint."""

    def use(endpoint: str) -> None:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint,
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)

    return use


def test_unreachable_store_is_a_network_error_within_seconds(aws: Callable[[str], None]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        aws(f"http://127.0.0.1:{closed.getsockname()[1]}")
        place = Location.open("s3://bucket/x")
        start = time.monotonic()
        for call in (lambda: place.write("a", b""), lambda: keys(place), lambda: place.read_if_there("a")):
            with pytest.raises(NetworkError, match="s3://bucket/x") as caught:
                call()
            assert caught.value.__cause__ is not None
            assert "Debug source" not in str(caught.value)
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("status", [429, 500, 503])
def test_throttled_and_failing_requests_are_tried_again(aws: Callable[[str], None], status: int) -> None:
    asked: list[str] = []

    def answer(request: http.server.BaseHTTPRequestHandler) -> tuple[int, bytes]:
        asked.append(request.command)
        return (status, b"") if len(asked) < 4 else (200, b"")

    with serving(answer) as endpoint:
        aws(endpoint)
        Location.open("s3://bucket").write("a", b"x")
    assert asked == ["PUT"] * 4


def test_store_that_keeps_failing_is_a_network_error_after_five_tries(aws: Callable[[str], None]) -> None:
    asked: list[str] = []

    def answer(request: http.server.BaseHTTPRequestHandler) -> tuple[int, bytes]:
        asked.append(request.command)
        return 503, b""

    with serving(answer) as endpoint:
        aws(endpoint)
        with pytest.raises(NetworkError, match="503"):
            Location.open("s3://bucket").write("a", b"x")
    assert len(asked) == 5


def test_forbidden_store_is_told_at_once(aws: Callable[[str], None]) -> None:
    asked: list[str] = []

    def answer(request: http.server.BaseHTTPRequestHandler) -> tuple[int, bytes]:
        asked.append(request.command)
        return 403, b""

    with serving(answer) as endpoint:
        aws(endpoint)
        with pytest.raises(LocationError, match="permission denied"):
            Location.open("s3://bucket").check_writable()
    assert len(asked) == 1


def test_bulk_write_that_fails_ends_early_and_names_the_key(aws: Callable[[str], None]) -> None:
    put: list[str] = []

    def answer(request: http.server.BaseHTTPRequestHandler) -> tuple[int, bytes]:
        put.append(request.path)
        return (403, b"") if request.path.endswith("/in/7.xml") else (200, b"")

    with serving(answer) as endpoint:
        aws(endpoint)
        with pytest.raises(LocationError, match=r"cannot write s3://bucket/in/7\.xml: permission denied"):
            Location.open("s3://bucket").write_many(((f"in/{index}.xml", b"x") for index in range(1000)), 4)
    assert len(put) < 50


def test_plain_http_to_another_machine_is_refused_with_a_remedy(aws: Callable[[str], None]) -> None:
    aws("http://storage.invalid:9000")
    with pytest.raises(LocationError, match="on this machine only") as caught:
        Location.open("s3://bucket").read("a")
    assert "AWS_ALLOW_HTTP" in caught.value.hint


def test_missing_bucket_is_named(s3: Any) -> None:
    place = Location.open("s3://no-such-bucket/x")
    calls: list[Callable[[], object]] = [
        lambda: place.write("a", b""),
        lambda: place.read_if_there("a"),
        lambda: keys(place),
        place.check_writable,
    ]
    for call in calls:
        with pytest.raises(LocationError, match="there is no bucket 'no-such-bucket'"):
            call()


def test_endpoint_for_s3_alone_goes_before_the_common_one(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere.invalid")
    place = Location.open(f"s3://{s3.bucket}")
    place.write("a", b"x")
    assert place.read("a") == b"x"


def listing_answer(
    stored: list[str], asked: list[dict[str, str]]
) -> Callable[[http.server.BaseHTTPRequestHandler], tuple[int, bytes]]:
    """Answer ListObjectsV2 as S3 does: in order, a thousand at a time, from a key or a token on."""

    def answer(request: http.server.BaseHTTPRequestHandler) -> tuple[int, bytes]:
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(request.path).query))
        prefix = query.get("prefix", "")
        asked.append(query)
        after = query.get("continuation-token") or query.get("start-after") or ""
        matching = [key for key in stored if key.startswith(prefix) and key.encode() > after.encode()]
        page = matching[:1000]
        more = len(matching) > len(page)
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>x</ETag><Size>0</Size></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        text = f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{rows}</ListBucketResult>"
        return 200, text.encode()

    return answer


@pytest.mark.parametrize("shape", ["flat", "deep", "odd", "one page", "exact page", "none"])
def test_parallel_listing_of_a_bucket_finds_every_key_once(aws: Callable[[str], None], shape: str) -> None:
    chance = random.Random(shape)
    shapes: dict[str, list[str]] = {
        "flat": [f"p/outputs/colony_A{condition}_{seed:04d}.csv" for condition in range(9) for seed in range(1000)],
        "deep": [f"p/{day}/{kind}/{seed}.xml" for day in range(30) for kind in ("in", "out") for seed in range(100)],
        "odd": [
            "p/" + "".join(chance.choices("a0Z-_.~ ü細🧫%+", k=chance.randint(1, 9))).strip(".") + "x"
            for _ in range(7000)
        ],
        "one page": ["p/a", "p/b"],
        "exact page": [f"p/{index}" for index in range(1000)],
        "none": [],
    }
    stored = sorted({*shapes[shape], "before", "p0/after"})
    asked: list[dict[str, str]] = []
    with serving(listing_answer(stored, asked)) as endpoint:
        aws(endpoint)
        found = keys(Location.open("s3://bucket/p"))
    assert found == {key.removeprefix("p/") for key in stored if key.startswith("p/")}
    assert {query["prefix"] for query in asked} == {"p/"}
    parts = [query for query in asked if "continuation-token" not in query]
    assert (len(parts) > 4) == (len(stored) > 2000), "long listings, and only those, are read in parts"


def test_listing_of_a_bucket_can_be_left_early(aws: Callable[[str], None]) -> None:
    stored = [f"{index:05d}" for index in range(20_000)]
    with serving(listing_answer(stored, [])) as endpoint:
        aws(endpoint)
        chunks = Location.open("s3://bucket").list()
        assert next(chunks)
        chunks.close()  # type: ignore[attr-defined]
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("list-")]


@given(st.text(min_size=1), st.text(min_size=1))
def test_cuts_of_a_listing_lie_strictly_between(one: str, other: str) -> None:
    low, high = sorted([one, other])
    cut = between(low, high) if low != high else None
    assert cut is None or (low < cut < high and not cut.endswith(("/", ".")))
