/* What is wider than its box says so on a phone (book.css). Tabs and folds are measured when they open. */
(() => {
  "use strict";
  const BOXES = ".cell_output, .cell_output .output, .cell_output pre, .book-tabs > .sd-tab-content, details.numbers, div.math, " +
    ".pst-scrollable-table-container";
  const FORMULA = "mjx-container";   // a formula that is too wide scrolls in a box of its own
  const over = (box) => box.scrollWidth > box.clientWidth + 8;
  const wider = (box) => over(box) || (box.matches("div.math") && [...box.querySelectorAll(FORMULA)].some(over));
  const measure = () => document.querySelectorAll(BOXES).forEach((box) => {
    const inner = [...box.querySelectorAll(BOXES)].some(wider);
    box.classList.toggle("scrolls-sideways", wider(box) && !inner);
  });
  const typeset = (left) => {   // formulas come after the page, by a script that is loaded meanwhile
    const done = window.MathJax && MathJax.startup && MathJax.startup.promise;
    if (done) done.then(measure); else if (left > 0) setTimeout(typeset, 200, left - 1);
  };
  addEventListener("load", () => { measure(); if (document.querySelector("div.math")) typeset(50); });
  addEventListener("resize", measure);
  for (const event of ["toggle", "change"]) document.addEventListener(event, measure, true);
})();
