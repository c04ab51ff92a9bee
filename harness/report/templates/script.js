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

  const held = document.getElementById("moved-data");
  if (held) {
    const data = JSON.parse(held.content.textContent);
    const section = document.getElementById("moved");
    const list = section.querySelector(".moved-items");
    const field = (name) => section.querySelector(`[data-moved="${name}"]`);
    const element = (tag, className, ...children) => {
      const made = document.createElement(tag);
      if (className) made.className = className;
      made.append(...children.filter((one) => one !== null));
      return made;
    };
    const text = (place) => (place < 0 ? null : data.texts[place]);
    const figure = (number) => number.toFixed(3);
    const option = (value, name) => Object.assign(document.createElement("option"), { value, textContent: name });
    data.models.forEach((name, place) => ["a", "b"].forEach((side) => field(side).append(option(place, name))));
    field("task").append(option("", "every task"));
    for (const axis of new Set(data.tasks.map((one) => one.axis))) field("task").append(option(`axis:${axis}`, `every task of ${axis}`));
    for (const type of new Set(data.tasks.map((one) => one.type))) {
      const group = Object.assign(document.createElement("optgroup"), { label: type });
      group.append(option(`type:${type}`, `every task of ${type}`));
      data.tasks.forEach((one, place) => one.type === type && group.append(option(place, one.name)));
      field("task").append(group);
    }
    const document_ = ([id, score, relevance, place], rank) =>
      element("div", "document", element("p", "figures",
        element("span", "", rank === null ? "" : `${rank + 1}.`),
        score === null ? null : element("span", "", "similarity ", element("b", "", figure(score))),
        rank === null || relevance > 0 ? element("span", "badge good", "relevant") : element("span", relevance === null ? "none" : "badge", relevance === null ? "not judged" : "not relevant"),
        element("span", "none", id)),
        text(place) === null ? null : element("div", "words", text(place)));
    const made = (model, [value, said, documents]) =>
      element("div", "side", element("h5", "", data.models[model]), element("p", "figures", said || figure(value)), ...documents.map(document_));
    const body = (item, a, b, turned) => {
      const [, , , gold, texts, relevant, first, second] = item;
      const sides = turned ? [made(b, first), made(a, second)] : [made(b, second), made(a, first)];
      return [
        ...texts.flatMap(([name, place]) => [element("h5", "", name), element("div", "words", text(place) ?? "")]),
        gold ? element("h5", "", gold) : null,
        ...relevant.map((one) => document_(one, null)),
        element("div", "pair", ...sides),
      ].filter((one) => one !== null);
    };
    const shown = (item, a, b, turned) => {
      const [name, where, change, , texts, , first, second] = item;
      const [own, base] = turned ? [second, first] : [first, second];
      const heads = element("span", "heads", ...texts.slice(0, 2).map(([, place]) => element("span", "", text(place) ?? "")));
      const details = element("details", "example", element("summary", "",
        element("span", "figures", element("span", "", name, where ? ` (${where})` : ""), element("span", "", `${figure(base[0])} \u2192 `, element("b", "", figure(own[0])))), heads));
      details.dataset.change = turned ? -change : change;
      details.addEventListener("toggle", () => details.childElementCount > 1 || details.append(...body(item, a, b, turned)), { once: true });
      return details;
    };
    const show = () => {
      const [a, b, wanted] = [Number(field("a").value), Number(field("b").value), field("task").value];
      const tasks = data.tasks.filter((one, place) => wanted === "" || wanted === String(place) || wanted === `type:${one.type}` || wanted === `axis:${one.axis}`);
      const turned = a > b;
      const key = turned ? `${b},${a}` : `${a},${b}`;
      let count = 0;
      list.replaceChildren();
      if (a === b) list.append(element("p", "none", "One model against itself: choose two."));
      for (const task of a === b ? [] : tasks) {
        const pair = task.pairs[key];
        const better = pair && (turned ? pair.worse : pair.better);
        const worse = pair && (turned ? pair.better : pair.worse);
        const said = !pair ? "one of the two has no score" : [pair.n ? `${data.models[a]} better on ${better} of ${pair.n}, worse on ${worse}; by ${pair.said}${pair.less ? "; less is better" : ""}` : "", pair.remark].filter(Boolean).join(". ");
        list.append(element("h4", "", task.name, " ", element("small", "", said)));
        for (const item of pair ? pair.items : []) list.append(shown(item, a, b, turned));
        count += pair ? pair.items.length : 0;
        if (pair && pair.n && better + worse > pair.items.length)
          list.append(element("p", "legend", `${pair.items.length} of ${better + worse} items that moved. More: `, element("code", "", `harness compare ${data.models[a]} ${data.models[b]} --flips --tasks ${task.name.split(/[ @[]/)[0]} -n 50${data.results}`)));
      }
      section.querySelector("output").textContent = `${count} item${count === 1 ? "" : "s"}`;
    };
    const open = (model, task) => {
      const a = data.models.indexOf(model);
      if (a < 0) return;
      const other = data.baseline >= 0 && data.baseline !== a ? data.baseline : data.models.findIndex((_, place) => place !== a);
      [field("a").value, field("b").value, field("task").value] = [a, other, task];
      show();
    };
    const link = (node, model, task) => {
      if (!node) return;
      const anchor = element("a", "to-items", ...node.childNodes);
      anchor.href = "#moved";
      anchor.title = `${model}: the items that moved`;
      anchor.addEventListener("click", () => open(model, task));
      node.append(anchor);
    };
    const places = new Map(data.tasks.map((one, place) => [one.name, String(place)]));
    for (const row of document.querySelectorAll("#task-table tbody tr")) {
      const task = places.get(row.dataset.task);
      if (task === undefined) continue;
      data.models.forEach((model, place) => {
        const cell = row.querySelector(`.c${place}.ok`);
        for (const node of cell ? cell.querySelectorAll("b, .delta") : []) link(node, model, task);
      });
    }
    for (const bar of document.querySelectorAll(".bar[data-model]")) link(bar.querySelector(".value"), bar.dataset.model, `type:${bar.dataset.type}`);
    for (const line of document.querySelectorAll("[data-axis]")) link(line.querySelector("b"), line.dataset.model, `axis:${line.dataset.axis}`);
    section.addEventListener("change", show);
    open(data.models.find((_, place) => place !== data.baseline), "");
  }
})();
