// The table of rows: sorted by its headers, filtered by kind and by words. Without this script
// the table is whole, in the order of the metric.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const bodies = Array.from(table.tBodies);
  const headers = Array.from(table.tHead.rows[0].cells);
  const said = document.createElement("p");
  said.className = "quiet";
  said.setAttribute("role", "status");

  const key = (body, column, numeric) => {
    const cell = body.rows[0].cells[column];
    const given = cell.dataset.value ?? cell.textContent.trim();
    if (!numeric) return given;
    return given === "" ? NaN : Number(given);
  };
  const compare = (a, b, numeric) => {
    if (!numeric) return a.localeCompare(b);
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return a - b;
  };
  const sort = (column) => {
    const header = headers[column];
    const numeric = header.dataset.sort === "number";
    const down = header.getAttribute("aria-sort") === "ascending";
    for (const other of headers) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = bodies.map((body) => [key(body, column, numeric), body]);
    keyed.sort(([a], [b]) => {
      const order = compare(a, b, numeric);
      const unknown = numeric && (Number.isNaN(a) || Number.isNaN(b));
      return down && !unknown ? -order : order;
    });
    table.append(...keyed.map(([, body]) => body));
  };
  headers.forEach((header, column) => {
    if (header.dataset.sort === undefined) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sort(column));
    header.append(button);
  });

  const tools = document.createElement("div");
  tools.className = "tools";
  const labelled = (text, control) => {
    const label = document.createElement("label");
    label.append(text, " ", control);
    tools.append(label);
    return control;
  };
  const kind = labelled("Show", document.createElement("select"));
  for (const [value, text] of JSON.parse(table.dataset.kinds)) kind.add(new Option(text, value));
  const words = labelled("with the words", document.createElement("input"));
  words.type = "search";
  words.autocomplete = "off";
  const texts = bodies.map((body) => body.textContent.replace(/\s+/g, " ").toLowerCase());
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    bodies.forEach((body, i) => {
      const ofKind = kind.value === "" || body.dataset.kinds.split(" ").includes(kind.value);
      body.hidden = !(ofKind && wanted.every((word) => texts[i].includes(word)));
      shown += !body.hidden;
    });
    said.textContent = shown + " of " + bodies.length + " rows shown";
  };
  kind.addEventListener("change", filter);
  words.addEventListener("input", filter);
  tools.append(said);
  table.parentElement.before(tools);
  filter();
}
