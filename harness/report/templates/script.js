"use strict";
(() => {
  document.documentElement.classList.add("js");

  const value = (cell) => {
    const text = cell.dataset.v ?? cell.textContent.trim();
    const number = Number(text.replace("%", ""));
    return { empty: text === "" || text === "-", number: text !== "" && !Number.isNaN(number) ? number : null, text };
  };
  // Numbers before words; what is missing stays last in either direction.
  const compare = (a, b, sign) => {
    if (a.empty || b.empty) return a.empty - b.empty;
    if (a.number !== null && b.number !== null) return sign * (a.number - b.number);
    if (a.number !== null || b.number !== null) return a.number !== null ? -1 : 1;
    return sign * a.text.localeCompare(b.text, "en", { numeric: true });
  };
  // A task's parts stay below it, whatever is sorted or found.
  const wholes = (body) => [...body.rows].filter((row) => !row.classList.contains("part"));
  const partsOf = (row) => {
    const found = [];
    for (let next = row.nextElementSibling; next?.classList.contains("part"); next = next.nextElementSibling) found.push(next);
    return found;
  };
  const sortRows = (table, column, sign) => {
    const body = table.tBodies[0];
    const rows = wholes(body).map((row, place) => ({ row, place, parts: partsOf(row), key: value(row.cells[column]) }));
    rows.sort((a, b) => compare(a.key, b.key, sign) || a.place - b.place);
    body.append(...rows.flatMap((one) => [one.row, ...one.parts]));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const first = head.classList.contains("num") ? "descending" : "ascending";
        const other = first === "descending" ? "ascending" : "descending";
        const next = head.getAttribute("aria-sort") === first ? other : first;
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", next);
        sortRows(table, column, next === "ascending" ? 1 : -1);
      });
    });
  }

  const states = {
    clear: (row) => row.querySelector(".up, .down"),
    ahead: (row) => row.querySelector(".up"),
    behind: (row) => row.querySelector(".down"),
    gap: (row) => row.querySelector(".error, .missing"),
  };
  const tasks = document.querySelector('[data-for="task-table"]');
  if (tasks) {
    const table = document.getElementById("task-table");
    const rows = wholes(table.tBodies[0]);
    const parts = new Map(rows.map((row) => [row, partsOf(row)]));
    const unfold = (row, isOpen) => parts.get(row).forEach((part) => (part.hidden = row.hidden || !isOpen));
    for (const said of table.querySelectorAll(".unfold")) {
      const button = document.createElement("button");
      const row = said.closest("tr");
      button.type = "button";
      button.className = "unfold";
      button.textContent = said.textContent;
      button.setAttribute("aria-expanded", "false");
      button.addEventListener("click", () => {
        const isOpen = button.getAttribute("aria-expanded") !== "true";
        button.setAttribute("aria-expanded", String(isOpen));
        unfold(row, isOpen);
      });
      said.replaceWith(button);
    }
    const words = new Map(rows.map((row) => [row, [0, 1, 2].map((n) => row.cells[n].textContent).join(" ").toLowerCase()]));
    const field = (name) => tasks.querySelector(`[data-filter="${name}"]`).value;
    const show = () => {
      const wanted = field("text").toLowerCase().split(/\s+/).filter(Boolean);
      const type = field("type");
      const state = states[field("state")];
      let shown = 0;
      for (const row of rows) {
        const fits = wanted.every((word) => words.get(row).includes(word)) && (!type || row.dataset.type === type) && (!state || state(row));
        row.hidden = !fits;
        unfold(row, row.querySelector(".unfold")?.getAttribute("aria-expanded") === "true");
        shown += fits ? 1 : 0;
      }
      tasks.querySelector("output").textContent = shown === rows.length ? `${shown} tasks` : `${shown} of ${rows.length} tasks`;
    };
    tasks.addEventListener("input", (event) => {
      const column = event.target.dataset.column;
      if (column === undefined) return show();
      for (const cell of table.querySelectorAll(`.c${column}`)) cell.hidden = !event.target.checked;
    });
    show();
  }

  const reader = document.querySelector('[data-for="examples"]');
  if (reader) {
    const groups = [...document.querySelectorAll(".examples")];
    const examples = groups.flatMap((group) => [...group.querySelectorAll(".example")].map((node) => ({ node, group })));
    for (const one of examples) one.words = one.node.textContent.toLowerCase();
    const field = (name) => reader.querySelector(`[data-filter="${name}"]`).value;
    const sort = () => {
      const order = field("sort");
      const name = order.replace("-", "");
      const sign = order.startsWith("-") ? -1 : 1;
      const key = (one) => ({ empty: one.node.dataset[name] === "", number: Number(one.node.dataset[name]), text: "" });
      for (const group of groups) {
        const own = examples.filter((one) => one.group === group).sort((a, b) => compare(key(a), key(b), sign));
        const after = own.length ? group.querySelector(":scope > .legend") : null;
        for (const one of own) group.insertBefore(one.node, after);
      }
    };
    const show = () => {
      const wanted = field("text").toLowerCase().split(/\s+/).filter(Boolean);
      const cell = field("cell");
      let shown = 0;
      for (const one of examples) {
        const fits = (!cell || one.group.dataset.cell === cell) && wanted.every((word) => one.words.includes(word));
        one.node.hidden = !fits;
        shown += fits ? 1 : 0;
      }
      for (const group of groups) group.hidden = !group.querySelector(".example:not([hidden])");
      reader.querySelector("output").textContent = shown === examples.length ? `${shown} items` : `${shown} of ${examples.length} items`;
    };
    reader.addEventListener("input", (event) => (event.target.dataset.filter === "sort" ? sort() : show()));
    show();
  }
})();
