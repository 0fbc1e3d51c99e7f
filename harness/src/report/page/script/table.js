// The tables, which are there without any script, made sortable and cut down to the backends that are switched on.

function sortable(table) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = make("button", {type: "button", onclick: () => sort(head, column)}, head.textContent);
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
  });

  function sort(head, column) {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = head.dataset.numeric === undefined
      ? row => row.cells[column].textContent
      : row => row.cells[column].dataset.value === undefined ? null : Number(row.cells[column].dataset.value);
    const rows = [...body.rows].map(row => [key(row), row]);
    // Rows without a value come last, whichever way.
    rows.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null)
      : (down ? -1 : 1) * (typeof a === "number" ? a - b : a.localeCompare(b, "en", {numeric: true})));
    body.append(...rows.map(([, row]) => row));
  }
}

function filterRows(table, off) {
  for (const row of table.tBodies[0].rows) row.hidden = off.has(row.dataset.backend);
}

// Copying is not everywhere allowed: then the command is selected, ready to be copied by hand.
function copyable(block) {
  const code = block.querySelector("code");
  const button = make("button", {type: "button", onclick: async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "selected";
    }
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  }}, "copy");
  block.append(button);
}
