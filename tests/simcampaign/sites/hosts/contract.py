"""What every host does, wherever it is."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from simcampaign.errors import NetworkError, SiteError
from simcampaign.sites.hosts import Host

HOSTILE = [
    "a b",
    "it's",
    'say "hi"',
    "two\nlines",
    "-rf",
    "$HOME `id` $(id)",
    "back\\slash \\0101",
    "ü ☃",
    "!x #y %z ~",
]
"""Names, and arguments, with which careless quoting goes wrong."""


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class HostContract:
    """The tests; a subclass has fixtures ``host`` and ``place``, a directory of that host that this process sees."""

    @pytest.fixture
    def host(self) -> Host:
        raise NotImplementedError

    @pytest.fixture
    def place(self) -> Path:
        raise NotImplementedError

    @pytest.mark.parametrize("argument", ["", *HOSTILE])
    def test_a_program_gets_its_arguments_as_they_are(self, host: Host, argument: str) -> None:
        done = host.run([sys.executable, "-S", "-c", "import sys; sys.stdout.write(repr(sys.argv[1:]))", argument, "z"])
        assert (done.code, done.text) == (0, repr([argument, "z"]))

    def test_output_and_errors_come_apart_as_bytes(self, host: Host) -> None:
        done = host.run(["sh", "-c", "printf 'a\\0\\377'; echo oops >&2; exit 3"])
        assert (done.code, done.out, done.err, done.complaint) == (3, b"a\0\xff", b"oops\n", "oops")

    def test_a_program_reads_what_it_is_given(self, host: Host) -> None:
        data = bytes(range(256)) * 20_000
        assert host.run(["cat"], stdin=data).out == data

    def test_without_input_a_program_reads_an_end(self, host: Host) -> None:
        assert host.run(["cat"], timeout_seconds=20).out == b""

    def test_a_program_that_is_not_there_ends_with_127(self, host: Host) -> None:
        done = host.run(["no-such-program", "x"])
        assert done.code == 127
        assert "no-such-program" in done.complaint

    def test_a_program_that_a_signal_ends_says_which(self, host: Host) -> None:
        assert [host.run(["sh", "-c", f"kill -{number} $$"]).code for number in (9, 15)] == [137, 143]

    def test_an_empty_command_is_refused(self, host: Host) -> None:
        with pytest.raises(SiteError, match="no command"):
            host.run([])

    def test_after_the_time_the_program_is_killed_there_with_its_children(self, host: Host, place: Path) -> None:
        script = 'sleep 300 & echo $! > "$1/child"; echo $$ > "$1/parent"; wait'
        with pytest.raises(NetworkError, match="did not end within"):
            host.run(["sh", "-c", script, "sh", str(place)], timeout_seconds=2)
        for name in ("child", "parent"):
            pid = int((place / name).read_text())
            wait_until(lambda pid=pid: not lives(pid))  # type: ignore[misc]

    def test_many_threads_use_a_host_at_once(self, host: Host) -> None:
        def work(number: int) -> bool:
            return all(host.run(["echo", f"{number} {turn}"]).text == f"{number} {turn}\n" for turn in range(5))

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(8)))

    def test_a_leading_tilde_is_the_home_directory_there(self, host: Host) -> None:
        home = host.run(["sh", "-c", 'printf %s "$HOME"']).text
        assert host.expand("~") == home
        assert host.expand("~/a b/~") == f"{home}/a b/~"
        assert host.expand("/abs/~") == "/abs/~"

    @pytest.mark.parametrize("path", ["", "relative/path", "~nobody/x", "/a\0b"])
    def test_a_path_that_is_neither_absolute_nor_at_home_is_refused(self, host: Host, path: str) -> None:
        with pytest.raises(SiteError, match="is no path"):
            host.list(path)

    def test_files_arrive_whole_with_their_directories(self, host: Host, place: Path, tmp_path: Path) -> None:
        source = tmp_path / "source.bin"
        source.write_bytes(os.urandom(3_000_001))
        written = host.put([(b"text", f"{place}/new/deep/text"), (b"", f"{place}/empty"), (source, f"{place}/new/big")])
        assert written == 4 + 3_000_001
        assert (place / "new/deep/text").read_bytes() == b"text"
        assert (place / "empty").read_bytes() == b""
        assert (place / "new/big").read_bytes() == source.read_bytes()
        assert sorted(each.name for each in place.rglob("*")) == ["big", "deep", "empty", "new", "text"]

    def test_a_file_takes_the_place_of_the_one_before(self, host: Host, place: Path) -> None:
        for text in (b"a long first version", b"second"):
            host.put([(text, f"{place}/file")])
        assert (place / "file").read_bytes() == b"second"

    def test_programs_stay_programs_and_others_do_not_become_some(
        self, host: Host, place: Path, tmp_path: Path
    ) -> None:
        for name, mode in (("program", 0o755), ("text", 0o644)):
            (tmp_path / name).write_text("#!/bin/sh\necho ran\n")
            (tmp_path / name).chmod(mode)
            host.put([(tmp_path / name, f"{place}/{name}")])
        assert host.run([f"{place}/program"]).text == "ran\n"
        assert host.run([f"{place}/text"]).code == 126

    def test_hostile_names_survive_all_ways(self, host: Host, place: Path, tmp_path: Path) -> None:
        host.put((name.encode(), f"{place}/{name}/{name}") for name in HOSTILE)
        entries = host.list(str(place))
        assert [each.path for each in entries] == sorted(f"{name}/{name}" for name in HOSTILE)
        host.get((f"{place}/{each.path}", tmp_path / "got" / each.path) for each in entries)
        for name in HOSTILE:
            assert (tmp_path / "got" / name / name).read_text() == name
            assert host.read(f"{place}/{name}/{name}") == name.encode()
            host.remove(f"{place}/{name}")
        assert list(place.iterdir()) == []

    def test_names_that_are_not_utf8_survive(self, host: Host, place: Path, tmp_path: Path) -> None:
        name = os.fsdecode(b"caf\xe9")
        (place / name).write_bytes(b"x")
        assert [each.path for each in host.list(str(place))] == [name]
        host.get([(f"{place}/{name}", tmp_path / name)])
        assert host.run(["cat", f"{place}/{name}"]).out == (tmp_path / name).read_bytes() == b"x"

    def test_a_listing_tells_sizes_and_times(self, host: Host, place: Path) -> None:
        (place / "sub").mkdir()
        (place / "sub/a").write_bytes(b"12345")
        os.utime(place / "sub/a", (1_000_000_000, 1_000_000_000))
        (entry,) = host.list(f"{place}/")
        assert (entry.path, entry.size, int(entry.modified)) == ("sub/a", 5, 1_000_000_000)

    def test_links_to_files_are_files_and_links_to_directories_are_not_followed(self, host: Host, place: Path) -> None:
        (place / "real").write_bytes(b"123")
        (place / "link").symlink_to("real")
        (place / "nowhere").symlink_to("gone")
        (place / "loop").symlink_to(".")
        os.mkfifo(place / "pipe")
        assert [(each.path, each.size) for each in host.list(str(place))] == [("link", 3), ("real", 3)]

    def test_what_is_not_there_has_no_files(self, host: Host, place: Path) -> None:
        assert list(host.list(f"{place}/nothing/at all")) == []

    def test_a_file_is_no_directory(self, host: Host, place: Path) -> None:
        (place / "file").write_bytes(b"")
        with pytest.raises(SiteError, match="cannot list"):
            host.list(f"{place}/file")

    def test_fetched_files_keep_their_times(self, host: Host, place: Path, tmp_path: Path) -> None:
        (place / "a").write_bytes(b"1")
        os.utime(place / "a", (1_000_000_000, 1_000_000_000))
        assert host.get([(f"{place}/a", tmp_path / "x/y")]) == 1
        assert int((tmp_path / "x/y").stat().st_mtime) == 1_000_000_000

    def test_a_file_that_is_not_there_cannot_be_fetched(self, host: Host, place: Path, tmp_path: Path) -> None:
        with pytest.raises(SiteError, match="gone"):
            host.get([(f"{place}/gone", tmp_path / "gone")])
        assert list(tmp_path.glob("**/*gone*")) == []

    def test_a_file_is_read_from_an_offset_on(self, host: Host, place: Path) -> None:
        (place / "journal").write_bytes(b"0123456789")
        assert [host.read(f"{place}/journal", offset) for offset in (0, 7, 10, 99)] == [b"0123456789", b"789", b"", b""]

    def test_reading_what_is_not_there_says_so(self, host: Host, place: Path) -> None:
        with pytest.raises(FileNotFoundError):
            host.read(f"{place}/gone")

    def test_a_directory_goes_with_all_that_is_in_it_and_twice_is_no_error(self, host: Host, place: Path) -> None:
        (place / "keep").write_bytes(b"")
        host.put([(b"", f"{place}/tree/{number}/x") for number in range(5)])
        (place / "tree/link").symlink_to(place / "keep")
        for _ in range(2):
            host.remove(f"{place}/tree")
        assert [each.name for each in place.iterdir()] == ["keep"]

    @pytest.mark.parametrize("path", ["/", "~", "~/", "//", "/usr/.."])
    def test_neither_everything_nor_the_home_is_ever_removed(self, host: Host, path: str) -> None:
        with pytest.raises(SiteError, match="is not removed"):
            host.remove(path)

    def test_after_a_removal_directories_are_made_again(self, host: Host, place: Path) -> None:
        for outside in (False, True):
            host.put([(b"x", f"{place}/d/e/f")])
            if outside:
                host.run(["rm", "-r", f"{place}/d"])
            else:
                host.remove(f"{place}/d")
        host.put([(b"y", f"{place}/d/e/f")])
        assert (place / "d/e/f").read_bytes() == b"y"

    def test_where_nothing_can_be_written_host_and_path_are_named(self, host: Host, place: Path) -> None:
        (place / "file").write_bytes(b"")
        with pytest.raises(SiteError) as caught:
            host.put([(b"x", f"{place}/file/below")])
        assert host.name in str(caught.value)

    def test_it_travels_to_other_processes(self, host: Host) -> None:
        twin = pickle.loads(pickle.dumps(host))  # noqa: S301 - ours
        try:
            assert twin.run(["echo", "twin"]).text == "twin\n"
        finally:
            twin.close()

    def test_a_forked_process_has_a_connection_of_its_own(self, host: Host) -> None:
        assert host.run(["echo", "parent"]).text == "parent\n"
        reader, writer = os.pipe()
        child = os.fork()
        if not child:  # whatever happens, the child must not become a second pytest
            try:
                os.write(writer, host.run(["echo", "child"]).out)
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            assert pipe.read() == b"child\n"
        os.waitpid(child, 0)
        assert host.run(["echo", "parent"]).text == "parent\n"

    def test_it_is_used_again_after_it_was_closed(self, host: Host) -> None:
        for _ in range(2):
            assert host.run(["echo", "x"]).text == "x\n"
            host.close()

    def test_a_generator_of_files_runs_where_it_was_made(self, host: Host, place: Path) -> None:
        """So that it may use a database, or this very host."""
        threads = set()

        def files() -> Iterator[tuple[bytes, str]]:
            for number in range(3):
                threads.add(threading.current_thread())
                yield host.run(["echo", str(number)]).out, f"{place}/{number}"

        host.put(files())
        assert threads == {threading.current_thread()}
        assert (place / "2").read_text() == "2\n"
