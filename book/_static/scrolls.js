/* What is wider than its box says so on a phone (book.css). Tabs and folds are measured when they open. */
(() => {
  "use strict";
  const BOXES = ".cell_output, .cell_output .output, .cell_output pre, .book-tabs > .sd-tab-content, details.numbers, div.math, " +
    ".pst-scrollable-table-container";
  const wider = (box) => box.scrollWidth > box.clientWidth + 8;
  const measure = () => document.querySelectorAll(BOXES).forEach((box) => {
    const inner = [...box.querySelectorAll(BOXES)].some(wider);
    box.classList.toggle("scrolls-sideways", wider(box) && !inner);
  });
  addEventListener("load", measure);
  addEventListener("resize", measure);
  for (const event of ["toggle", "change"]) document.addEventListener(event, measure, true);
})();
