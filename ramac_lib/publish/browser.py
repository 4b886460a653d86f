"""Open built pages in a headless Chromium that has no network, and see what a reader would see."""

import importlib.util
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bs4 import BeautifulSoup

from ramac_lib.system.processes import set_death_signal

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9", "--allow-file-access-from-files",
)  # fmt: skip
_LOOKING = ("--virtual-time-budget=120000", "--dump-dom", "--window-size=1400,1000")
PHONE = 390  # pixels; no window of Chromium's is as narrow, so a frame is
# Goes in front of everything else on the page, so that it hears of every resource that fails.
_WATCH = """<script>
window.ramacFailed = [];
window.addEventListener("error", (event) => {
  const it = event.target;
  const where = it && it !== window ? it.currentSrc || it.src || it.href || it.tagName : event.message;
  window.ramacFailed.push(where);
}, true);
async function typeset(view) {
  if (view.document.querySelector(".math") && view.MathJax && view.MathJax.startup) await view.MathJax.startup.promise;
}
async function phone(width) {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width: ${width}px; height: 800px; border: 0`;
  frame.title = "phone";
  frame.src = location.href.split("#")[0];
  document.body.appendChild(frame);
  await new Promise((done) => { frame.onload = done; });
  const view = frame.contentWindow, root = view.document.documentElement, right = root.clientWidth + 1;
  for (const image of view.document.images) image.loading = "eager";
  await typeset(view);
  await new Promise((done) => setTimeout(done, 300));
  const inside = (element) => {  // of a box that scrolls by itself
    for (let box = element.parentElement; box && box !== view.document.body; box = box.parentElement)
      if (view.getComputedStyle(box).overflowX !== "visible") return true;
    return false;
  };
  const found = root.scrollWidth <= right ? [] : [...view.document.querySelectorAll("main *")]
    .filter((element) => element.getBoundingClientRect().right > right && !inside(element))
    .slice(0, 1).map((element) => `${element.tagName} ${element.textContent.trim().slice(0, 60)}`);
  const wide = root.scrollWidth > right ? [`${root.scrollWidth} pixels (${found})`] : [];
  frame.remove();
  return wide;
}
window.addEventListener("load", async () => {
  if (window.top !== window) return;
  let sideways = [];
  const formulas = [...document.querySelectorAll(".math")], images = [...document.images], barriers = [];
  try {
    await typeset(window);
    images.forEach((image) => { image.loading = "eager"; });
    await Promise.all(images.filter((image) => !image.complete)
      .map((image) => new Promise((done) => { image.onload = image.onerror = done; })));
    await document.fonts.ready;
    await new Promise((done) => setTimeout(done, 500));  // virtual time: it stands still while requests are under way
    sideways = await phone(PHONE);
    const still = document.createElement("style");  // else colours are still on their way from mode to mode
    still.textContent = "*, *::before, *::after { transition: none !important; animation: none !important; }" +
      ".cell_output, .cell_output * { background-image: none !important; }";  // axe judges no text on a gradient
    if (window.axe) document.head.appendChild(still);
    const shut = window.axe ? [...document.querySelectorAll("details:not([open])")] : [];
    shut.forEach((fold) => { fold.open = true; });
    for (const mode of window.axe ? ["light", "dark"] : []) {
      document.documentElement.dataset.theme = mode;
      await new Promise((done) => setTimeout(done, 100));
      const found = await axe.run(document, {resultTypes: ["violations"], elementRef: false});
      for (const rule of found.violations.filter((rule) => ["serious", "critical"].includes(rule.impact)))
        barriers.push(`${rule.help} (axe ${rule.id}, ${mode}), ${rule.nodes.length} times: ` +
          `${rule.nodes[0].html.slice(0, 200)} (${rule.nodes[0].failureSummary.slice(0, 300)})`);
    }
    shut.forEach((fold) => { fold.open = false; });
  } catch (error) { window.ramacFailed.push(String(error)); }
  const start = (element) => element.textContent.slice(0, 60);
  const report = document.createElement("script");
  report.type = "application/json";
  report.id = "ramac-report";
  report.textContent = JSON.stringify({
    failed: window.ramacFailed,
    barriers: barriers,
    sideways: sideways,
    cut: [...document.querySelectorAll(".cell_input pre, .cell_output, .cell_output pre, div.math mjx-container")]
      .filter((box) => box.scrollWidth > box.clientWidth + 1).map(start),
    formulas: formulas.length,
    images: images.length,
    bare: formulas.filter((formula) => !formula.querySelector("mjx-container")).map(start),
    wrong: [...document.querySelectorAll("mjx-merror, [data-mjx-error]")].map(start),
    empty: images.filter((image) => !image.naturalWidth).map((image) => image.src.slice(-80)),
    fetched: performance.getEntriesByType("resource").map((r) => r.name).filter((n) => /^(https?|wss?):/.test(n)),
  });
  document.body.appendChild(report);
});
</script>""".replace("PHONE", str(PHONE))
_MEANING = {
    "barriers": "keeps some readers out",
    "sideways": f"is the page's width on a phone of {PHONE}",
    "cut": "is wider than its column in a window of 1,400 pixels",
    "failed": "could not be loaded or run",
    "bare": "is a formula that was not typeset",
    "wrong": "is a formula with an error",
    "empty": "is an image that shows nothing",
    "fetched": "was asked of the network",
}


@dataclass
class Opened:
    """What the browser saw, over all pages."""

    problems: list[str] = field(default_factory=list)
    formulas: int = 0
    images: int = 0
    accessible: int = 0  # pages that axe-core has gone through, in light and in dark


def find() -> str | None:
    """Return the path of a Chromium, None where there is none."""
    return next((found for program in PROGRAMS if (found := shutil.which(program))), None)


def find_axe() -> Path | None:
    """Return the path of axe-core's script, None where the package that brings it is not installed."""
    found = importlib.util.find_spec("axe_core_python")
    if found is None or found.origin is None:
        return None
    script = Path(found.origin).with_name("axe.min.js")
    return script if script.is_file() else None


def check_pages(program: str, html: Path, pages: Sequence[Path]) -> Opened:
    """Open each page of a copy of `html`; collect what failed to load, to be typeset or to be shown.

    Args:
        program: a Chromium.
        html: the folder of pages, left as it is.
        pages: paths of the pages inside that folder.

    Returns:
        The problems, and how many formulas and images were seen.
    """
    opened, axe = Opened(), find_axe()
    with tempfile.TemporaryDirectory(prefix="pages-") as folder:
        copy = Path(folder, "html").resolve()
        shutil.copytree(html, copy)
        for page in pages:
            text = (copy / page).read_text(encoding="utf-8")
            if 'http-equiv="Refresh"' in text:  # the redirect to the first page, which is opened itself
                continue
            watch = f'<script src="{axe.as_uri()}"></script>{_WATCH}' if axe else _WATCH
            (copy / page).write_text(text.replace("<head>", "<head>" + watch, 1), encoding="utf-8")
            seen = _open(program, copy / page, Path(folder, "profile"))
            if isinstance(seen, str):
                opened.problems.append(f"{page}: {seen}")
                continue
            opened.formulas += seen["formulas"]
            opened.images += seen["images"]
            opened.accessible += bool(axe)
            if "_modules" in page.parts:  # the library's source, whose lines are as long as they are
                seen["sideways"] = []
            for kind, meaning in _MEANING.items():
                opened.problems += [f"{page}: {what!r} {meaning}" for what in seen[kind]]
    return opened


def _open(program: str, page: Path, profile: Path) -> dict | str:
    """Return the report that the page wrote about itself, or why there is none."""
    try:
        done = subprocess.run(
            [program, *ARGUMENTS, *_LOOKING, f"--user-data-dir={profile}", page.as_uri()],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, preexec_fn=set_death_signal,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "the browser did not finish with it in three minutes"
    report = BeautifulSoup(done.stdout, "html.parser").find(id="ramac-report")
    if report is None:
        reason = done.stderr.strip().splitlines() or ["no message"]
        return f"the browser gave no report of it ({reason[-1]})"
    return json.loads(report.get_text())
