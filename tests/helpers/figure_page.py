"""A stand-in for a page, on which Node.js runs the script of the figures with controls."""

import json
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "book/_static/figures.js"
# As much of a page as the script asks for: elements that keep attributes, children and listeners.
PAGE = """
class Element {
  constructor(name) {
    Object.assign(this, {name, attributes: {}, children: [], heard: {}, dataset: {}, hidden: false});
  }
  setAttribute(key, value) { this.attributes[key] = String(value); }
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  replaceWith() {}
  addEventListener(kind, call) { this.heard[kind] = call; }
}
const found = [];
const document = {
  readyState: "complete",
  createElement: (name) => { const e = new Element(name); found.push(e); return e; },
  createElementNS: (_, name) => new Element(name),
  querySelectorAll: () => [figure],
};
const figure = new Element("figure");
const input = JSON.parse(require("fs").readFileSync(0, "utf8"));
figure.dataset.figure = input.kind;
figure.querySelector = (what) => what === "script" ? {textContent: JSON.stringify(input.data)} : new Element("div");
globalThis.document = document;
"""
TOUCH = """
const controls = found.filter((e) => e.name === "select" || (e.name === "input"));
const seen = [Number(figure.dataset.value)];
for (const [which, value] of input.touched) {
  const control = controls[which];
  control.value = value;
  control.heard[control.name === "select" ? "change" : "input"]();
  seen.push(Number(figure.dataset.value));
}
console.log(JSON.stringify({seen, said: found.filter((e) => e.name === "output")[0].textContent}));
"""
PLAYED = """
let tick = null;
globalThis.setInterval = (call) => { tick = call; return 1; };
globalThis.clearInterval = () => { tick = null; };
"""


def touch(kind, data, touched):
    """Return the value after each touch (a control's number, its value), the first before any, and what is said."""
    given = json.dumps({"kind": kind, "data": data, "touched": touched})
    code = PAGE + SCRIPT.read_text() + TOUCH
    done = subprocess.run(["node", "-e", code], input=given, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    return answer["seen"], answer["said"]
