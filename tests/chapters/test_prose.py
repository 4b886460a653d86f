"""The chapters' prose: no misspelling that codespell knows, none of the words that this book says otherwise."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[2] / "book"
ACTORS = r"(?:critics?|actors?|polic(?:y|ies)|networks?|detectors?|methods?|agents?)"
# CONTRIBUTING.md, "Prose": the field's word instead. Words with an everyday sense are found by what stands around them.
AVOIDED = {
    r"(?<!Amdahl's )\blaws?\b": "distribution",
    r"\b(?:set|put|laid|shown|held|compared|stands?|standing) beside\b|\bheld against\b": "compared with",
    r"\bbeside (?:one|that|those) (?:of|with)\b|\bbeside the exact\b|\$ beside \$": "compared with",
    r"\bundecided\b|\bunclear\b|\bnot told apart\b": "inconclusive",
    r"\btold apart\b|\b(?:is|are|was|were|be|been) parted\b|\bparts? company\b": "differs",
    r"\bforetell(?:s|ing)?\b|\bforetold\b": "predicts",
    r"\bask(?:s|ed|ing)? for (?:0?\.\d|an? (?:level|fraction|quantile|value)|the speeds)": "estimate, measure",
    rf"\bask(?:s|ed|ing)? (?:a|the|its|each|every|both) (?:\w+ )?{ACTORS}\b|\b{ACTORS} (?:is|are) asked\b": "estimate",
    r"\b(?:draws?|drawn|drew) (?:(?:the|a|its|any|all|both|two|one|other) )?(?:shapes?|modes?|rings?)\b": "represent",
    r"\bweigh(?:s|ed|ing)? (?:a|an|the|each|its) (?:residual|error)": "weights",
    r"\b(?:error|residual)s?\b[^.,]{0,40}\bweighs?\b": "weights",
    rf"\b(?:bad|good|episode's|episodes'|{ACTORS}'s?) outcomes?\b|\bits outcome\b|\bhow bad the outcome": "return",
    r"\bwhoever (?:made|played|wrote|collected)\b": "behaviour policy",
    r"\b(?:nobody|no one) knows\b|\bcannot be said\b(?!\s+at\s+this\s+scale)": "we do not know, not measured",
    rf"\b{ACTORS} (?:that )?(?:knows?|wants?|believes?|thinks?|hopes?)\b": "no metaphor",
    r"\bof course\b|\bjust (?:a|an|the|one|like|so)\b": "nothing",
    r"\bput down to\b": "attributed to",
    r"\bWhere (this|it) says nothing\b": "What this does not say",
    r"\b(?:behavior|color|neighbor|center|favor|labor)\w*\b|\banalyz\w+": "British spelling",
    r"\b(?!(?:(?:re|over|cap)?s|pr|se)iz)\w+iz(?:e[sd]?|ing|ations?)\b": "British spelling",
}
WRONG = (
    "by the law of returns", "held against a clone", "a factor of 2 beside one of 3", "it is unclear", "is told apart",
    "they are parted", "as foretold", "a grid asked for 0.1", "we ask the critic", "a policy that draws two modes",
    "weighs each residual", "bad outcomes", "whoever made the data", "it cannot be said", "the critic knows",
    "of course", "the behavior policy", "is optimized",
)  # fmt: skip
RIGHT = (
    "Amdahl's law", "the gap beside it", "fractions drawn anew", "no outcome weighs more than a worse one", "horizons",
    "inconclusive 0, cannot be said at this scale 0", "just below 1 %", "two of three outcomes", "a size of the prize",
    "What is asked of this world", "the method asks for a seed", "the parts of a sentence", "an actor like RAMAC's",
)  # fmt: skip


def avoided(text):
    """Return the words of a text that this book says otherwise, with what it says."""
    return {word: instead for word, instead in AVOIDED.items() if re.search(word, text, re.IGNORECASE)}


@pytest.mark.parametrize("text", WRONG)
def test_a_word_to_avoid_is_found(text):
    assert avoided(text)


@pytest.mark.parametrize("text", RIGHT)
def test_the_same_word_in_another_sense_is_not(text):
    assert avoided(text) == {}


def prose(path):
    """Return a page's Markdown, less inline code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".md":
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return re.sub(r"`[^`\n]*`", "``", text)


def spoken(path):
    """Return what a page's own sentences say when it is made, from its stored outputs."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = [o.get("data", {}).get("text/markdown", "") for c in cells for o in c.get("outputs", [])]
    return "\n".join(text if isinstance(text, str) else "".join(text) for text in texts if text)


# proselint's rules that contradict this book's conventions (straight quotes, "resume" for runs), or read a heading and
# the sentence after it, or `--methods radac radac:…`, as one phrase.
UNFIT = ("typography", "lexical_illusions", "dates_times", "spelling")
PAGES = sorted([*BOOK.glob("*.ipynb"), *BOOK.glob("*.md")])


def test_words_are_spelt_right(tmp_path):
    for page in PAGES:
        (tmp_path / f"{page.name}.md").write_text(prose(page), encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "codespell_lib", str(tmp_path)], capture_output=True, text=True)
    assert done.stdout == ""


def plain(text):
    """Return Markdown without formulas, blocks of code and roles, which are no prose."""
    for marked in (r"```.*?```", r"\$\$.*?\$\$", r"\$[^$]*\$", r"\{[\w:]+\}`[^`]*`"):
        text = re.sub(marked, "N", text, flags=re.DOTALL)
    return text


def test_proselint_finds_nothing(tmp_path):
    for page in PAGES:
        text = prose(page) + (spoken(page) if page.suffix == ".ipynb" else "")
        (tmp_path / f"{page.name}.md").write_text(plain(text), encoding="utf-8")
    (tmp_path / "wrong.md").write_text("It was a very unique bare-faced lie.", encoding="utf-8")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"checks": dict.fromkeys(UNFIT, False)}))
    command = [sys.executable, "-m", "proselint", "check", "--config", str(config), str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    assert [line for line in found if "wrong.md" not in line] == []
    assert any("wrong.md" in line for line in found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_fields_words_are_used(page):
    text = prose(page) + (re.sub(r"`[^`]*`", "``", spoken(page)) if page.suffix == ".ipynb" else "")
    assert avoided(text) == {}
