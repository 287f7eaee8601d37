"use strict";
// Tables that sort by a click or a key on a heading, and listings that are copied. The page is whole without it.
const UNITS = {
  "µs": 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600, d: 86400, B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12,
  KiB: 1024, MiB: 1048576, GiB: 1073741824, "bit/s": 1, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9,
  "µJ": 1e-6, mJ: 1e-3, J: 1, kJ: 1e3, MJ: 1e6, GJ: 1e9, mW: 1e-3, W: 1, "%": 1, "×": 1,
};
const QUANTITY = /^([+\-−]?[\d,]*\.?\d+(?:e[+-]?\d+)?)\s*([^\s\d.,;:()±]*)(?=$|\s)/i;

function quantity(text) {
  const found = QUANTITY.exec(text);
  if (!found) return null;
  const unit = found[2] in UNITS ? UNITS[found[2]] : 1;
  return Number(found[1].replace(/,/g, "").replace("−", "-")) * unit;
}

function isNumeric(texts) {
  const known = texts.filter((text) => text !== "–" && text !== "never" && text !== "");
  return known.length > 0 && known.every((text) => quantity(text) !== null);
}

function sortBy(table, column, direction) {
  const body = table.tBodies[0], rows = [...body.rows];
  const texts = rows.map((row) => row.cells[column].textContent.trim());
  const numeric = isNumeric(texts);
  const keys = new Map(rows.map((row, place) => [row, numeric ? quantity(texts[place]) : texts[place]]));
  const compare = (a, b) => {
    const first = keys.get(a), second = keys.get(b);
    if (first === null || second === null) return (first === null) - (second === null);
    return direction * (numeric ? first - second : first.localeCompare(second, "en", { numeric: true }));
  };
  body.append(...rows.sort(compare));
}

function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  if (table.tBodies[0].rows.length < 2) return;
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      headings.forEach((other) => other.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      sortBy(table, column, direction);
    });
  });
}

function makeCopyable(listing) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", () => {
    const text = listing.querySelector("pre");
    const chosen = () => {
      getSelection().selectAllChildren(text);
      button.textContent = "Selected";
    };
    if (!navigator.clipboard) return chosen();
    return navigator.clipboard.writeText(text.textContent).then(() => { button.textContent = "Copied"; }, chosen);
  });
  listing.querySelector(".actions").prepend(button);
}

document.querySelectorAll("table").forEach(makeSortable);
document.querySelectorAll("details.listing").forEach(makeCopyable);
