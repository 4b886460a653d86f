"""Fetch one large file over HTTP: progress, resumption, retries, and nothing at the final path unless whole."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import requests
import tenacity
from tqdm import tqdm

from ramac_lib.system.errors import RamacError

CHUNK = 1 << 13  # bytes; a cut loses the chunk it falls in, so a large one could keep a download from advancing
LONGEST_WAIT = 30.0
RETRIED_STATUS = (408, 425, 429)


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
    attempts: int = 6,
    backoff: float = 1.0,
    timeout: float = 30.0,
) -> Path:
    """Download `url` to `path`, by way of ``path.part``, which a later call resumes by HTTP Range.

    Connection errors, cut transfers and answers 5xx are tried again after `backoff` · (1, 2, 4, …) seconds, 30 at most.

    Args:
        size: the file's size in bytes where it is known; the server's own Content-Length is always held to.
        check: raises RamacError on wrong content; called before the file is moved into place.
        attempts: transfers to try before giving up.
        timeout: seconds without a byte after which a transfer counts as cut.

    Raises:
        RamacError: refused by the server, cut at every attempt, of wrong size or content, no space left: one
            sentence, and nothing at `path`.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential(multiplier=backoff, max=LONGEST_WAIT),
        retry=tenacity.retry_if_exception_type(_TRANSIENT),
        reraise=True,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        retrying(_transfer, url, part, size, progress, timeout)
        found = part.stat().st_size
        if size is not None and found != size:
            part.unlink()
            raise RamacError(f"{url} has {found} bytes; expected {size}")
        if check is not None:
            _check(check, part, url)
        os.replace(part, path)
    except _TRANSIENT as error:
        kept = f", and a later attempt resumes from {part}" if part.exists() else ""
        raise RamacError(f"{url} could not be fetched in {attempts} attempts: {_reason(error)}{kept}") from error
    except requests.RequestException as error:
        raise RamacError(f"{url} cannot be fetched: {_reason(error)}") from error
    except OSError as error:
        raise RamacError(f"cannot write {part}: {error.strerror or error}") from error
    return path


def _transfer(url: str, part: Path, size: int | None, progress: bool, timeout: float) -> None:
    """Make one request for what `part` lacks and append it."""
    have = part.stat().st_size if part.exists() else 0
    # Without "identity" a server may compress, and neither Content-Length nor Range would count the file's bytes.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        status = response.status_code
        if status == 416 and have:
            if _total(response) == have:
                return
            part.unlink()
            raise _Cut("the partial file did not fit the server's")
        if status >= 500 or status in RETRIED_STATUS:
            raise _Cut(f"the server answered {status} {response.reason}")
        if status not in (200, 206):
            raise RamacError(f"{url} was refused by the server: {status} {response.reason}")
        if status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise _Cut("the server sent another range than asked for")
        total = _total(response)
        if size is not None and total is not None and total != size:
            part.unlink(missing_ok=True)
            raise RamacError(f"{url} has {total} bytes; expected {size}")
        _write(response, part, have, total, progress)
    if total is not None and part.stat().st_size < total:
        raise _Cut(f"the connection closed after {part.stat().st_size} of {total} bytes")


def _write(response: requests.Response, part: Path, have: int, total: int | None, progress: bool) -> None:
    start = have if response.status_code == 206 else 0
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RamacError(f"{part} is being downloaded by another process; wait for it to end") from error
        file.truncate(start)
        bar = tqdm(
            initial=start, total=total, unit="B", unit_scale=True, desc=part.stem, disable=not progress, leave=False
        )
        with bar:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))


def _total(response: requests.Response) -> int | None:
    """Return the whole file's size as the server states it, None where it does not."""
    stated = response.headers.get("Content-Range", "").rpartition("/")[2]
    if response.status_code == 200:
        stated = response.headers.get("Content-Length", "")
    return int(stated) if stated.isdigit() else None


def _check(check: Callable[[Path], None], part: Path, url: str) -> None:
    try:
        check(part)
    except RamacError as error:
        part.unlink()
        raise RamacError(f"{url} did not deliver the file expected: {error}") from error


def _reason(error: BaseException) -> str:
    """Return the innermost cause on one line: requests wraps urllib3 wraps the socket's."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return " ".join(str(error).split())[:200] or type(error).__name__
