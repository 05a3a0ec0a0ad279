"use strict";
// Sorting, filtering, and the lines of code that build a row.  Without it pages are whole.
const cellValue = (row, column) => row.cells[column].dataset.value;

function compare(a, b, kind) {
  if (a === "" || b === "") return (a === "") - (b === "");
  return kind === "number" ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true });
}

function sortBy(table, heading, descending) {
  const column = heading.cellIndex, body = table.tBodies[0];
  const missing = [], rows = [];
  for (const row of body.rows) (cellValue(row, column) === "" ? missing : rows).push(row);
  rows.sort((a, b) => compare(cellValue(a, column), cellValue(b, column), heading.dataset.kind));
  if (descending) rows.reverse();
  body.append(...rows, ...missing);  // what has no value is last, either way
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () =>
      sortBy(table, heading, heading.getAttribute("aria-sort") === "ascending"));
  }
}

for (const form of document.querySelectorAll("form[data-filters]")) {
  const within = document.getElementById(form.dataset.filters);
  const rows = [...within.querySelectorAll("tbody tr, [data-row]")];
  const status = document.querySelector(`[data-count="${form.dataset.filters}"]`);
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const update = () => {
    const wanted = new FormData(form);
    const words = (wanted.get("text") || "").toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, index) => {
      const held = [...wanted].every(([name, value]) =>
        name === "text" || value === ""
        || (value === "on" ? Number(row.dataset[name]) > 0 : row.dataset[name] === value));
      row.hidden = !(held && words.every((word) => texts[index].includes(word)));
      shown += !row.hidden;
    });
    status.textContent = `${shown} of ${rows.length} ${form.dataset.filters}`;
  };
  form.hidden = false;
  form.addEventListener("input", update);
  form.addEventListener("reset", () => setTimeout(update));
  form.addEventListener("submit", (event) => event.preventDefault());
  update();
}

function mark(lines) {
  for (const line of document.querySelectorAll(".code .marked")) line.classList.remove("marked");
  for (const line of lines) document.getElementById(`L${line}`)?.classList.add("marked");
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#L']");
  if (link) mark((link.dataset.lines || link.hash.slice(2)).split(" "));
});

function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folded = target?.closest("details");
  if (folded) folded.open = true;
}
addEventListener("hashchange", reveal);
reveal();
