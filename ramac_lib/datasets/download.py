"""Fetch one large file over HTTP: progress, resumption, retries, and nothing at the final path unless whole.

Why not ``pooch`` or ``fsspec``: neither goes on with a cut transfer, so neither asks whether the rest is still of the
same file (ETag, If-Range), and neither stops at a ceiling while it writes, as an endless or compressed answer needs.
"""

import fcntl
import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import requests
import tenacity
from tqdm import tqdm

from ramac_lib.system.errors import RamacError

CHUNK = 1 << 13  # bytes; a cut loses the chunk it falls in, so a large one could keep a download from advancing
LONGEST_WAIT = 30.0
RETRIED_STATUS = (408, 425, 429)
CEILING = 4_000_000_000  # bytes, where no size is known; the largest of the files that are asked for have under 1e9
SPARE = 100_000_000  # bytes that a download leaves free on the disk


class _Cut(Exception):
    """The transfer did not finish; another attempt may."""


_TRANSIENT = (
    _Cut,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


def fetch(
    url: str,
    path: str | os.PathLike[str],
    size: int | None = None,
    check: Callable[[Path], None] | None = None,
    *,
    progress: bool = True,
    ceiling: int = CEILING,
    attempts: int = 6,
    backoff: float = 1.0,
    timeout: float = 30.0,
) -> Path:
    """Download `url` to `path`, by way of ``path.part``, which a later call resumes by HTTP Range.

    It is resumed only where the server says that its file is still the same: what it named it by (ETag or date) lies in
    ``path.part.tag`` and is sent along (If-Range). Without a name, the transfer begins anew.

    Connection errors, cut transfers and answers 5xx are tried again after `backoff` · (1, 2, 4, …) seconds, 30 at most.

    Args:
        size: the file's size in bytes where it is known; the server's own Content-Length is always held to.
        ceiling: bytes that are never exceeded, where the size is not known.
        check: raises RamacError on wrong content; called before the file is moved into place.
        attempts: transfers to try before giving up.
        timeout: seconds without a byte after which a transfer counts as cut.

    Raises:
        RamacError: refused by the server, cut at every attempt, of wrong size or content, no space left: one
            sentence, and nothing at `path`.
    """
    path = Path(path)
    part, shown = path.with_name(path.name + ".part"), without_secrets(url)
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential(multiplier=backoff, max=LONGEST_WAIT),
        retry=tenacity.retry_if_exception_type(_TRANSIENT),
        reraise=True,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        retrying(_transfer, url, part, size if size is not None else ceiling, size, progress, timeout)
        found = part.stat().st_size
        if size is not None and found != size:
            _drop(part)
            raise RamacError(f"{shown} has {found} bytes; expected {size}")
        if check is not None:
            _check(check, part, shown)
        os.replace(part, path)
        _drop(part)
    except _TRANSIENT as error:
        kept = f", and a later attempt resumes from {part}" if part.exists() and _tag(part) else ""
        raise RamacError(f"{shown} could not be fetched in {attempts} attempts: {_reason(error, url)}{kept}") from error
    except RamacError:
        raise
    except (requests.RequestException, ValueError) as error:  # the latter of an address that cannot be read
        raise RamacError(f"{shown} cannot be fetched: {_reason(error, url)}") from error
    except OSError as error:
        raise RamacError(f"cannot write {part}: {error.strerror or error}") from error
    return path


def fetch_named(
    name: str, folder: Path, base_url: str, mirror: str, check: Callable[[Path], None], progress: bool = True
) -> Path:
    """Return the path of a host's file in a folder, fetched unless it is there already.

    Args:
        name: of the file, at the host as in the folder.
        base_url: of the host's folder, taken from the environment variable `mirror` where that is set.
        check: as `fetch`.

    Raises:
        RamacError: as `fetch`; where the host refused or was not reached, the sentence names the variable.
    """
    path = folder / name
    if path.exists():
        return path
    url = f"{(os.environ.get(mirror) or base_url).rstrip('/')}/{name}"
    try:
        return fetch(url, path, check=check, progress=progress)
    except RamacError as error:
        hint = f" ({mirror} may name a mirror)" if str(error).startswith(without_secrets(url)) else ""
        raise RamacError(f"{error}{hint}") from error


def without_secrets(url: str) -> str:
    """Return a URL as it may be shown: without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the address"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _tag(part: Path) -> str:
    """Return what the server named the file by whose beginning `part` is; empty where that is not known."""
    note = part.with_name(part.name + ".tag")
    return note.read_text(encoding="latin-1").strip()[:1000] if note.is_file() and not note.is_symlink() else ""


def _named(response: requests.Response) -> str:
    """Return what a server names its file by: a strong ETag, else its date; empty where it has neither."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _drop(part: Path) -> None:
    for path in (part, part.with_name(part.name + ".tag")):
        path.unlink(missing_ok=True)


def _transfer(url: str, part: Path, ceiling: int, size: int | None, progress: bool, timeout: float) -> None:
    """Make one request for what `part` lacks and append it."""
    have, tag, shown = part.stat().st_size if part.is_file() else 0, _tag(part), without_secrets(url)
    have = have if tag else 0  # else the rest might be another file's
    # Without "identity" a server may compress, and neither Content-Length nor Range would count the file's bytes.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-", "If-Range": tag} if have else {})}
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        status = response.status_code
        if status == 416 and have:
            if _total(response) == have:
                return
            _drop(part)
            raise _Cut("the partial file did not fit the server's")
        if status >= 500 or status in RETRIED_STATUS:
            raise _Cut(f"the server answered {status} {response.reason}")
        if status not in (200, 206):
            raise RamacError(f"{shown} was refused by the server: {status} {response.reason}")
        if status == 206 and (
            not response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            or _named(response) not in ("", tag)
        ):
            _drop(part)
            raise _Cut("the server sent another range than asked for, or of another file")
        total = _total(response)
        if size is not None and total is not None and total != size:
            _drop(part)
            raise RamacError(f"{shown} has {total} bytes; expected {size}")
        if (total or 0) > ceiling:
            raise RamacError(f"{shown} has {total:,} bytes; expected at most {ceiling:,}")
        free = shutil.disk_usage(part.parent).free - SPARE
        if (total or 0) - have > free:
            raise RamacError(f"cannot write {part}: {total:,} bytes come, and no more than {max(0, free):,} are free")
        _write(response, part, have, (total, min(ceiling, have + max(0, free))), progress)
    if total is not None and part.stat().st_size < total:
        raise _Cut(f"the connection closed after {part.stat().st_size} of {total} bytes")


def _write(response: requests.Response, part: Path, have: int, sizes: tuple[int | None, int], progress: bool) -> None:
    """Append what comes; `sizes` are the one that the server states and the one that is never exceeded."""
    start = have if response.status_code == 206 else 0
    total, most = sizes
    # A link or a pipe of that name is not written through.
    handle = os.open(part, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    with os.fdopen(handle, "ab") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise RamacError(f"cannot write {part}: is not a regular file")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RamacError(f"{part} is being downloaded by another process; wait for it to end") from error
        file.truncate(start)
        if start == 0:
            note = part.with_name(part.name + ".tag")
            note.unlink(missing_ok=True)
            note.write_text(_named(response), encoding="latin-1", errors="replace")
        bar = tqdm(
            initial=start, total=total, unit="B", unit_scale=True, desc=part.stem, disable=not progress, leave=False
        )
        with bar:
            written = start
            for chunk in response.iter_content(CHUNK):
                written += len(chunk)
                if written > most:
                    _drop(part)
                    raise RamacError(f"{without_secrets(response.url)} has more bytes; expected at most {most:,}")
                file.write(chunk)
                bar.update(len(chunk))


def _total(response: requests.Response) -> int | None:
    """Return the whole file's size as the server states it, None where it does not."""
    stated = response.headers.get("Content-Range", "").rpartition("/")[2]
    if response.status_code == 200:
        stated = response.headers.get("Content-Length", "")
    return int(stated) if stated.isdigit() else None


def _check(check: Callable[[Path], None], part: Path, shown: str) -> None:
    try:
        check(part)
    except RamacError as error:
        _drop(part)
        raise RamacError(f"{shown} did not deliver the file expected: {error}") from error


def _reason(error: BaseException, url: str = "") -> str:
    """Return the innermost cause on one line, as `without_secrets`: requests wraps urllib3 wraps the socket's."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    text = " ".join(str(error).split()) or type(error).__name__
    secrets: tuple[str, ...] = ()
    try:
        if without_secrets(url) != url:
            secrets = (url, *urlsplit(url)[1:4])
    except ValueError:
        secrets = (url,)
    for secret in secrets:
        text = text.replace(secret, "…") if secret else text
    # Also of an address that the server led to, and of ours as requests quotes it anew.
    return re.sub(r"//[^/\s]*@", "//…@", re.sub(r"[?#]\S+", "?…", text))[:200]
