"""Downloads against a real server that refuses, stalls, cuts, lies about lengths and answers with a page."""

import contextlib
import fcntl
import gzip
import os
import re
import resource
import shutil
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ramac_lib.datasets import d4rl, download, hdf5
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.errors import RamacError

CUT = 3 * download.CHUNK  # bytes a connection lives for on the routes that cut


class Handler(BaseHTTPRequestHandler):
    """Its path's first word says how to misbehave; the rest is any name."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server, kind = self.server, self.path.partition("?")[0].split("/")[1]
        server.hits[kind] += 1
        server.ranges.append(self.headers.get("Range"))
        if kind.isdigit():
            return self.answer(int(kind), b"no")
        if kind == "moved":
            return self.answer(302, b"", {"Location": server.leads})
        if kind == "busy" and server.hits[kind] < 3:
            return self.answer(503, b"later")
        if kind == "page":
            return self.answer(200, b"<html>welcome</html>", type_="text/html")
        body, start = server.body, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked and kind not in ("norange", "dead"):
            start = int(asked[1])
            if start >= len(body):
                return self.answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        if asked and self.headers.get("If-Range") != server.tag and kind != "splice":
            start = 0  # the file has changed since: all of it
        self.send_response(206 if start else 200)
        if kind != "nameless":
            self.send_header("ETag", server.tag)
        if kind == "bomb":
            self.send_header("Content-Encoding", "gzip")
            body = gzip.compress(bytes(50_000_000))
        if kind == "endless":
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(bytes(download.CHUNK))
            return None
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        claimed = len(body) - start
        claimed += {"long": 500, "short": -500}.get(kind, 0)
        if kind == "unsaid":
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(claimed))
        self.end_headers()
        sent = body[start:]
        if kind in ("cut", "dead", "long") or (kind == "norange" and server.hits[kind] == 1):
            sent = sent[:CUT] if kind != "long" else sent
            self.close_connection = True
        self.wfile.write(sent[:claimed] if kind == "short" else sent)
        return None

    def answer(self, status, body, headers=None, type_="text/plain"):
        self.send_response(status)
        for key, value in {"Content-Type": type_, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(hopper_file, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.body, httpd.hits, httpd.ranges, httpd.tag = hopper_file.read_bytes(), Counter(), [], '"one"'
        assert len(httpd.body) > 3 * CUT
        httpd.handle_error = lambda *_: None  # a client that hangs up is no news
        httpd.url = f"http://127.0.0.1:{httpd.server_port}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "down" / "file.hdf5"


def fetch(url, target, **options):
    return download.fetch(url, target, **{"progress": False, "backoff": 0.001, "check": hdf5.check_layout, **options})


def refusal(url, target, **options):
    """Return the sentence of a failing download, having checked that it is one and left nothing in place."""
    with pytest.raises(RamacError) as caught:
        fetch(url, target, **options)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    return str(caught.value)


def test_fetches_in_one_piece(server, target):
    assert fetch(server.url + "/ok", target, size=len(server.body)) == target
    assert target.read_bytes() == server.body
    assert os.listdir(target.parent) == ["file.hdf5"]
    assert server.hits["ok"] == 1


def test_resumes_a_cut_transfer_where_it_broke_off(server, target):
    fetch(server.url + "/cut", target, attempts=20)
    assert target.read_bytes() == server.body
    pieces = -(-len(server.body) // CUT)
    assert server.ranges == [None, *(f"bytes={CUT * i}-" for i in range(1, pieces))]


def test_starts_over_where_the_server_knows_no_ranges(server, target):
    fetch(server.url + "/norange", target)
    assert target.read_bytes() == server.body
    assert server.ranges == [None, f"bytes={CUT}-"]


def test_resumes_an_earlier_calls_part(server, target):
    target.parent.mkdir()
    target.with_name("file.hdf5.part").write_bytes(server.body[:12_345])
    target.with_name("file.hdf5.part.tag").write_text('"one"')
    fetch(server.url + "/ok", target)
    assert target.read_bytes() == server.body
    assert server.ranges == ["bytes=12345-"]


@pytest.mark.parametrize("extra", [b"", b"too much"])
def test_a_part_that_is_whole_or_too_long(server, target, extra):
    """The server answers 416 and says how many bytes there are: none is to come, or all are."""
    target.parent.mkdir()
    target.with_name("file.hdf5.part").write_bytes(server.body + extra)
    target.with_name("file.hdf5.part.tag").write_text(server.tag)
    fetch(server.url + "/ok", target)
    assert target.read_bytes() == server.body
    assert server.ranges == [f"bytes={len(server.body + extra)}-", *([None] if extra else [])]
    assert os.listdir(target.parent) == ["file.hdf5"]


def begun(server, target, size=12_345):
    """Leave the beginning of the server's present file as a cut transfer does."""
    target.parent.mkdir(exist_ok=True)
    target.with_name("file.hdf5.part").write_bytes(server.body[:size])
    target.with_name("file.hdf5.part.tag").write_text(server.tag)


@pytest.mark.parametrize("route", ["ok", "splice"])
def test_the_rest_of_another_file_is_never_appended(server, target, route):
    """Where the file has changed, also at a server that sends the range all the same."""
    begun(server, target)
    first, server.tag = server.body, '"two"'
    server.body = first[:5000] + bytes(255 - b for b in first[5000:5100]) + first[5100:]
    download.fetch(f"{server.url}/{route}", target, progress=False, backoff=0.001)
    assert target.read_bytes() == server.body
    assert os.listdir(target.parent) == ["file.hdf5"]


def test_a_part_of_a_file_without_a_name_is_not_resumed(server, target):
    fetch(server.url + "/nameless", target)
    target.unlink()
    target.with_name("file.hdf5.part").write_bytes(b"of who knows which file")
    fetch(server.url + "/nameless", target)
    assert target.read_bytes() == server.body
    assert server.ranges == [None, None]


@pytest.mark.parametrize("route", ["bomb", "endless"])
def test_nothing_is_written_beyond_the_ceiling(server, target, route):
    sentence = refusal(f"{server.url}/{route}", target, ceiling=1_000_000)
    assert "has more bytes; expected at most 1,000,000" in sentence
    assert sum(path.stat().st_size for path in target.parent.iterdir()) < 1000


def test_a_stated_length_beyond_the_ceiling_or_the_disk_is_refused_before_a_byte(server, target, monkeypatch):
    assert f"{len(server.body):,} bytes; expected at most 1,000" in refusal(server.url + "/ok", target, ceiling=1000)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 0, download.SPARE + 10))
    assert "no more than 10 are free" in refusal(server.url + "/ok", target)
    assert os.listdir(target.parent) == []


@pytest.mark.parametrize("make", [lambda p, victim: p.symlink_to(victim), lambda p, victim: os.mkfifo(p)])
def test_a_link_or_pipe_in_place_of_the_part_is_not_written_through(server, target, tmp_path, make):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    target.parent.mkdir()
    make(target.with_name("file.hdf5.part"), victim)
    assert "cannot write" in refusal(server.url + "/ok", target)
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("route", ["404", "500", "dead", "page", "bomb"])
def test_a_password_or_a_token_is_never_shown(server, target, route):
    url = server.url.replace("//", "//me:secret@") + f"/{route}?token=secret"
    assert "secret" not in refusal(url, target, attempts=2, ceiling=1_000_000)
    assert "secret" not in refusal("http://me:secret@127.0.0.1:9/x?token=secret", target, attempts=2)
    assert "secret" not in refusal("ftp://me:secret@nowhere/x?token=secret", target, attempts=2)


@pytest.mark.parametrize("place", ["http://127.0.0.1:99999/y", "ftp://me:secret@x/y", "http://[::1/y"])
def test_a_token_of_the_address_that_a_server_leads_to_is_never_shown(server, target, place):
    server.leads = place + "?token=secret"
    sentence = refusal(server.url + "/moved", target, attempts=2)
    assert "/moved cannot be fetched" in sentence
    assert "secret" not in sentence


def test_a_token_that_requests_quotes_anew_is_never_shown():
    asked = "https://me:a|b@files.org/data?token=se|cret y"
    told = download._reason(ValueError("failed: /data?token=se%7Ccret%20y of https://me:a%7Cb@files.org/data"), asked)
    assert told == "failed: …?… of https://…@files.org…"


def test_an_address_that_cannot_be_read_is_a_sentence(target):
    assert "secret" not in refusal("http://[::1/x?token=secret", target)


def test_waits_for_a_busy_server(server, target):
    fetch(server.url + "/busy", target)
    assert server.hits["busy"] == 3


def test_a_server_that_states_no_length(server, target):
    fetch(server.url + "/unsaid", target, size=len(server.body))
    assert target.read_bytes() == server.body


@pytest.mark.parametrize("status", [403, 404, 410])
def test_refused_at_once(server, target, status):
    sentence = refusal(f"{server.url}/{status}", target)
    assert re.search(f"/{status} was refused by the server: {status} ", sentence)
    assert server.hits[str(status)] == 1
    assert os.listdir(target.parent) == []


def test_cut_at_every_attempt_says_so_and_keeps_what_can_be_resumed(server, target):
    sentence = refusal(server.url + "/dead", target, attempts=3)
    assert "could not be fetched in 3 attempts" in sentence
    assert "resumes from" in sentence
    assert server.hits["dead"] == 3
    fetch(server.url + "/ok", target)
    assert target.read_bytes() == server.body


def test_a_server_always_down(server, target):
    assert "in 4 attempts: the server answered 500" in refusal(server.url + "/500", target, attempts=4)
    assert server.hits["500"] == 4
    assert os.listdir(target.parent) == []


def test_no_server_at_all(target):
    assert "could not be fetched in 2 attempts" in refusal("http://127.0.0.1:9/x", target, attempts=2)


def test_a_length_larger_than_the_body_is_a_cut(server, target):
    assert "could not be fetched in 2 attempts" in refusal(server.url + "/long", target, attempts=2)


def test_a_length_smaller_than_the_file_is_caught_by_its_content(server, target):
    sentence = refusal(server.url + "/short", target)
    assert "did not deliver the file expected" in sentence
    assert "is truncated" in sentence
    assert os.listdir(target.parent) == []


@pytest.mark.parametrize("route", ["ok", "unsaid"])
def test_wrong_size(server, target, route):
    sentence = refusal(f"{server.url}/{route}", target, size=17)
    assert sentence.endswith(
        f"has {f'{len(server.body)} bytes; expected' if route == 'ok' else 'more bytes; expected at most'} 17"
    )
    assert os.listdir(target.parent) == []


def test_a_page_instead_of_a_file(server, target):
    assert "is not an HDF5 file" in refusal(server.url + "/page", target)
    assert os.listdir(target.parent) == []


def test_not_a_url(target):
    assert "cannot be fetched" in refusal("ftp:/nowhere", target)


def test_a_folder_that_cannot_be(server, target):
    target.parent.write_text("a file")
    assert "cannot write" in refusal(server.url + "/ok", target)


def test_a_full_disk(server, target):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        assert "cannot write" in refusal(server.url + "/ok", target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    fetch(server.url + "/ok", target)
    assert target.read_bytes() == server.body


def test_two_processes_do_not_write_one_part(server, target):
    target.parent.mkdir()
    with target.with_name("file.hdf5.part").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "is being downloaded by another process" in refusal(server.url + "/ok", target)


def test_d4rl_comes_from_the_mirror_into_d4rls_folder(server, tmp_path, monkeypatch, hopper):
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path / "d4rl"))
    monkeypatch.setenv("RAMAC_D4RL_URL", server.url + "/ok/")
    data = d4rl.load(get_task("hopper-medium-replay"), progress=False)
    assert os.listdir(tmp_path / "d4rl") == ["hopper_medium_replay-v2.hdf5"]
    assert data.sha256() == hopper.sha256()
    assert data.env_id == "Hopper-v4"
    assert data.recipe == {"source": "d4rl", "task": "hopper-medium-replay", "sha256": hopper.sha256()}
    d4rl.load(get_task("hopper-medium-replay"), progress=False)
    assert server.hits["ok"] == 1


def test_d4rls_refusal_names_the_mirrors_variable(server, tmp_path):
    with pytest.raises(RamacError, match=r"walker2d_medium_expert-v2.hdf5 was refused .* 404 .*RAMAC_D4RL_URL"):
        d4rl.load(get_task("walker2d-medium-expert"), directory=tmp_path, base_url=server.url + "/404", progress=False)
