"""What a release carries beside the code: the pages, the executed notebooks, the PDF, and the hash of each file.

Published pages of several versions stand side by side: the newest at the root, each release under its number.
"""

import gzip
import hashlib
import html as escaping
import io
import re
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from ramac_lib.publish.chapters import chapters
from ramac_lib.publish.pdf import NAME
from ramac_lib.publish.site import read, title
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic

SUMS = "SHA256SUMS"
_PAGES = re.compile(r"pages-(\d[\w.]*)\.tar\.gz")
# Where a page says which version it is: its foot, and a mark on the page on how to read the book.
_FOOT = re.compile(r'(<div class="extra_footer">\s*Version \S+ of [\d-]+\.)(?! <a )')
_MARK = re.compile(r'(<span id="versions">)(</span>)')
_LIST = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Versions · {title}</title><style>:root {{ color-scheme: light dark }}
body {{ font: 1.1rem/1.6 sans-serif; max-width: 34rem; margin: 15vh auto; padding: 0 1rem }}</style>
</head><body><main><h1>Versions</h1><ul>
{items}
</ul></main></body></html>
"""


def gather(root: Path, out: Path, built: Path | None = None, profile: str = "quick") -> list[Path]:
    """Write a built book's pages, executed notebooks, stored policies and, where printed, its PDF into a folder.

    The same build gives the same bytes.

    Args:
        root: the checkout.
        out: where to; what stands there of an earlier release is replaced, other files stay.
        built: the folder of the build (default: `_build` in `root`).
        profile: in which the notebooks were executed.

    Returns:
        The files that were written.

    Raises:
        RamacError: the book is not built, or a chapter was not executed in this profile.
    """
    root, out = Path(root), Path(out)
    built = root / "_build" if built is None else Path(built)
    pages, executed, version = built / "html", built / "executed" / profile, read(root).version
    if not pages.is_dir():
        raise RamacError(f"{pages}: the book is not built; make book PDF=1 builds it")
    notebooks = {chapter.name: executed / f"{chapter.name}.ipynb" for chapter in chapters(root)}
    missing = [name for name, path in notebooks.items() if not path.is_file()]
    if missing:
        raise RamacError(f"{executed}: {', '.join(missing)} not executed there; make book executes all chapters")
    files = [out / f"pages-{version}.tar.gz", out / f"notebooks-{version}.zip"]
    with atomic(files[0]) as temporary:
        temporary.write_bytes(_tarred(pages))
    with atomic(files[1]) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, path in notebooks.items():
            entry = zipfile.ZipInfo(f"{name}.ipynb", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes())
    if (pages / NAME).is_file():
        files.append(out / NAME)
        with atomic(files[-1]) as temporary:
            temporary.write_bytes((pages / NAME).read_bytes())
    for path in sorted((root / "data" / "checkpoints").glob("*")):
        files.append(out / path.name)
        with atomic(files[-1]) as temporary:
            temporary.write_bytes(path.read_bytes())
    return files


def sums(out: Path) -> Path:
    """Write ``SHA256SUMS`` of all files in a folder, in the form that ``sha256sum --check`` reads; return its path."""
    out = Path(out)
    files = sorted(path for path in out.iterdir() if path.is_file() and path.name != SUMS)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    with atomic(out / SUMS) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    return out / SUMS


def assemble(html: Path, releases: Path, root: Path) -> Sequence[str]:
    """Put the pages of earlier releases under their numbers into a built book, and a page that lists them.

    The foot of every page, and the page on how to read the book, then lead to that list.

    Args:
        html: the newest pages.
        releases: a folder with ``pages-NUMBER.tar.gz`` of each release, as `gather` writes them; others are let be.
        root: the checkout, for the book's title.

    Returns:
        The numbers, newest first.

    Raises:
        RamacError: `html` holds no pages, or an archive would write outside its folder.
    """
    html, numbers = Path(html), []
    if not (html / "index.html").is_file():
        raise RamacError(f"{html}: holds no pages (no index.html)")
    for archive in sorted(Path(releases).glob("*.tar.gz")):
        named = _PAGES.fullmatch(archive.name)
        if named is None:
            continue
        try:
            with tarfile.open(archive) as packed:
                packed.extractall(html / named[1], filter="data")
        except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
            raise RamacError(f"{archive}: is no archive of pages ({error})") from error
        numbers.append(named[1])
    numbers.sort(key=lambda number: [int(part) if part.isdigit() else 0 for part in number.split(".")], reverse=True)
    items = ['<li><a href="index.html">the newest</a></li>']
    items += [f'<li><a href="{number}/index.html">{number}</a></li>' for number in numbers]
    with atomic(html / "versions.html") as temporary:
        page = _LIST.format(title=escaping.escape(title(root)), items="\n".join(items))
        temporary.write_text(page, encoding="utf-8")
    for path in html.rglob("*.html"):
        _link(path, "../" * (len(path.relative_to(html).parts) - 1) + "versions.html")
    return numbers


def _link(path: Path, target: str) -> None:
    """Let a page lead to the list of versions, where it says which version it is; others stay as they are."""
    text = path.read_text(encoding="utf-8")
    linked = _FOOT.sub(rf'\1 <a href="{target}">All versions</a>.', text)
    linked = _MARK.sub(
        rf'\1 <a href="{target}">All published versions</a> are listed on a page of their own.\2', linked
    )
    if linked != text:
        with atomic(path) as temporary:
            temporary.write_text(linked, encoding="utf-8")


def _tarred(folder: Path) -> bytes:
    """Return a gzipped tar of a folder's files, without their dates and owners."""
    body = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=body, mode="wb", compresslevel=6, mtime=0, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                info = tarfile.TarInfo(path.relative_to(folder).as_posix())
                info.size = path.stat().st_size
                with path.open("rb") as file:
                    tar.addfile(info, file)
    return body.getvalue()
