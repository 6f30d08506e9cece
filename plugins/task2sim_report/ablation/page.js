"use strict";
// What is shown follows from the address after its "#" alone, so that a view can be bookmarked and sent.
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const usual = { view: "rows", role: data.roles[0], method: "0" };
const BASE = "as in the base";
const DASH = "–";

let state;
const read = () => { state = new URLSearchParams(location.hash.slice(1)); };
const get = (key) => state.get(key) ?? usual[key] ?? "";
const numbers = (key) => (get(key) ? get(key).split(".").map(Number) : []);

function change(changes) {
  for (const [key, value] of Object.entries(changes)) {
    const text = Array.isArray(value) ? value.join(".") : value;
    if (text === (usual[key] ?? "")) state.delete(key);
    else state.set(key, text);
  }
  history.replaceState(null, "", "#" + state);
  draw();
}

// Names only ever become text nodes, never markup.
function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);
const fixed = (value, digits = 1) => value.toFixed(digits).replace("-", "−");
const percent = (value) => (value === null || value === undefined ? DASH : fixed(100 * value));
const signed = (value) => (value === null ? DASH : (value > 0 ? "+" : "") + fixed(100 * value));
const within = (ends) => (ends ? ` [${fixed(100 * ends[0])}, ${fixed(100 * ends[1])}]` : "");
const pValue = (p) => (p < 0.001 ? "< 0.001" : fixed(p, 3));
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

// The scores that the filters leave

const scores = data.cells.map(() => []);
for (const [cell, task, method, role, value] of data.scores) scores[cell].push({ task, method, role, value });
const cellsOf = data.rows.map((_, row) => data.cells.flatMap((cell, number) => (cell.row === row ? [number] : [])));

function chosen() {
  const hidden = { seeds: new Set(numbers("seeds")), tasks: new Set(numbers("tasks")) };
  const levels = data.factors.map((_, number) => new Set(numbers("f" + number)));
  const role = data.roles.indexOf(get("role"));
  const method = Number(get("method"));
  return {
    role, method,
    seed: (seed) => !hidden.seeds.has(data.seeds.indexOf(seed)),
    task: (task) => !hidden.tasks.has(task),
    row: (row) => levels.every((off, number) => !off.has(levelOf(row, number))),
    // Statistics are made of a row's own policy, for one role, over all of its tasks and seeds.
    isWhole: role >= 0 && method === 0 && !hidden.seeds.size && !hidden.tasks.size,
  };
}

function levelOf(row, factor) {
  const label = data.rows[row].levels[factor];
  return label === null ? -1 : data.factors[factor].levels.indexOf(label);
}

function runs(cells, filter) {
  return cells.filter((cell) => filter.seed(data.cells[cell].seed)).flatMap((cell) => scores[cell]
    .filter((one) => one.method === filter.method && (filter.role < 0 || one.role === filter.role) && filter.task(one.task))
    .map((one) => ({ task: one.task, seed: data.cells[cell].seed, value: one.value })));
}

function grouped(list, key) {
  const groups = new Map();
  for (const one of list) groups.set(key(one), [...(groups.get(key(one)) ?? []), one]);
  return groups;
}

// Mean over tasks of means over seeds: no task counts more because it has more runs.
const overTasks = (list, value) => mean([...grouped(list, (one) => one.task).values()].map((group) => mean(group.map(value))));

function paired(own, other, byTask) {
  const key = (one) => (byTask ? `${one.task}` : `${one.task} ${one.seed}`);
  const others = new Map(other.map((one) => [key(one), one.value]));
  return own.filter((one) => others.has(key(one)))
    .map((one) => ({ task: one.task, own: one.value, other: others.get(key(one)), difference: one.value - others.get(key(one)) }));
}

// Things that can be picked: rows, or cells

function rowItem(row, filter) {
  const about = data.rows[row];
  const cells = cellsOf[row];
  const own = runs(cells, filter);
  const numbers = filter.isWhole ? about.statistics[get("role")] : null;
  const pairs = about.baseline === null ? [] : paired(own, runs(cellsOf[about.baseline], filter), false);
  const shown = cells.map((cell) => data.cells[cell]).filter((cell) => filter.seed(cell.seed));
  const finished = shown.filter((cell) => cell.state === "finished");
  return {
    number: row, row, cells, runs: own, numbers, label: about.label, isBaseline: about.isBaseline, notes: about.notes,
    mean: numbers && numbers.n ? numbers.mean : overTasks(own, (one) => one.value),
    comparison: numbers?.comparison ?? null,
    difference: numbers?.comparison ? numbers.comparison.difference : overTasks(pairs, (one) => one.difference),
    pretrainings: mean(finished.map((cell) => cell.pretrainings)),
    finished: finished.length, planned: shown.length,
  };
}

function cellItem(number, filter) {
  const cell = data.cells[number];
  const about = data.rows[cell.row];
  const own = runs([number], filter);
  const baseline = about.baseline === null ? [] : cellsOf[about.baseline].filter((other) => data.cells[other].seed === cell.seed);
  return {
    ...cell, number, cells: [number], runs: own, label: `${about.label}, seed ${cell.seed}`, isBaseline: about.isBaseline,
    comparison: null,
    mean: overTasks(own, (one) => one.value),
    difference: overTasks(paired(own, runs(baseline, filter), false), (one) => one.difference),
  };
}

// Columns: what to show, what to sort by

const text = (title, key, show) => ({ title, sort: (item) => item[key], show: show ?? ((item) => String(item[key])), kind: "left" });
const number = (title, key, show) => ({ title, sort: (item) => item[key], show: (item) => show(item[key]), kind: "" });

const factorColumns = () => (data.factors.length
  ? data.factors.map((factor, position) => ({
      title: factor.name, kind: "left", sort: (item) => levelOf(item.row, position),
      show: (item) => data.rows[item.row].levels[position] ?? BASE,
    }))
  : [text("row", "label")]);

const pickColumn = {
  title: "compare", kind: "picks", show: (item) => make("input", {
    type: "checkbox", checked: numbers("pick").includes(item.number), "aria-label": `compare ${item.label}`,
    onchange: (event) => {
      const others = numbers("pick").filter((one) => one !== item.number);
      change({ pick: event.target.checked ? [...others, item.number] : others });
      document.querySelector(`[data-item="${item.number}"] input`)?.focus();
    },
  }),
};

// Numbers of the warnings at the top of the page that are about this row or cell.
const notes = { title: "notes", sort: (item) => item.notes[0] ?? null, show: (item) => item.notes.join(", ") };

function reason(item, filter) {
  if (item.isBaseline) return "baseline";
  if (data.rows[item.row].baseline === null) return "no baseline row";
  if (!filter.isWhole) return "filtered";
  return item.comparison ? item.comparison.why : "no results";
}

function rowColumns(filter) {
  const of = (key) => (item) => item.comparison?.[key] ?? null;
  const columns = [
    pickColumn, ...factorColumns(),
    { title: "n", sort: (item) => item.runs.length, show: (item) => String(item.runs.length) },
    number("mean", "mean", percent),
    { title: "IQM [95 %]", sort: (item) => item.numbers?.iqm ?? null,
      show: (item) => (item.numbers ? percent(item.numbers.iqm) + within(item.numbers.interval) : why(filter.isWhole ? "no results" : "filtered")) },
    { title: "against baseline [95 %]", sort: (item) => item.difference,
      show: (item) => (item.difference === null ? why(reason(item, filter)) : signed(item.difference) + within(item.comparison?.interval)) },
    { title: "p (Holm)", sort: of("holm"), show: (item) => {
      const p = of("holm")(item);
      if (p === null) return why(reason(item, filter));
      return item.comparison.significant ? make("b", {}, pValue(p)) : pValue(p);
    } },
    { title: "better on, %", sort: of("improvement"), show: (item) => percent(of("improvement")(item)) },
    { title: "effect", sort: of("effect"), show: (item) => (of("effect")(item) === null ? DASH : fixed(of("effect")(item), 2)) },
  ];
  if (data.rows.some((row) => data.roles.some((role) => row.statistics[role].regret !== undefined))) {
    columns.push({ title: "regret", sort: (item) => item.numbers?.regret ?? null, show: (item) => percent(item.numbers?.regret) });
  }
  columns.push(
    { title: "pre-trainings", sort: (item) => item.pretrainings, show: (item) => (item.pretrainings === null ? DASH : fixed(item.pretrainings, 0)) },
    { title: "cells", sort: (item) => item.finished, show: (item) => `${item.finished} of ${item.planned}` },
    notes,
  );
  return columns;
}

const cellColumns = () => [
  pickColumn, ...factorColumns(), number("seed", "seed", String), text("state", "state"),
  { title: "n", sort: (item) => item.runs.length, show: (item) => String(item.runs.length) },
  number("mean", "mean", percent), number("against baseline", "difference", signed),
  number("pre-trainings", "pretrainings", String), number("of these made", "made", String),
  number("seconds", "seconds", (value) => fixed(value)), text("run", "run"), notes,
];

const why = (words) => make("span", { className: "why" }, words);

// Tables whose headers sort

function table(id, key, columns, items, footer) {
  const sign = get(key).startsWith("-") ? -1 : 1;
  const by = get(key) === "" ? -1 : Math.abs(Number(get(key))) - 1;
  const sort = columns[by]?.sort;
  const sorted = sort ? [...items].sort((first, second) => compared(sort(first), sort(second), sign)) : items;
  const head = columns.map((column, position) => {
    const isSorted = position === by;
    const order = isSorted ? (sign > 0 ? "ascending" : "descending") : "none";
    const next = isSorted && sign > 0 ? `-${position + 1}` : isSorted ? "" : `${position + 1}`;
    const click = () => { change({ [key]: next }); document.querySelectorAll(`#${id} thead th`)[position].firstChild.focus(); };
    const cell = make("th", { scope: "col", className: column.kind ?? "" }, column.sort ? make("button", { type: "button", onclick: click }, column.title) : column.title);
    if (column.sort) cell.setAttribute("aria-sort", order);
    return cell;
  });
  const body = sorted.map((item) => make("tr", { className: item.style ?? "", "data-item": item.number },
    ...columns.map((column) => make("td", { className: column.kind ?? "" }, column.kind === "left" ? make("span", { className: "name" }, column.show(item)) : column.show(item)))));
  const place = document.getElementById(id);
  place.replaceChildren(make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body), footer));
}

// What has no value comes last, whichever way it is sorted.
function compared(first, second, sign) {
  const missing = (value) => value === null || value === undefined;
  if (missing(first) || missing(second)) return missing(first) - missing(second);
  if (typeof first === "string" || typeof second === "string") return sign * String(first).localeCompare(String(second), "en", { numeric: true });
  return sign * (first - second);
}

// Side by side

function compare(picked, isOfCells, filter) {
  const place = document.getElementById("comparison");
  const message = document.getElementById("compared");
  if (picked.length < 2) {
    place.replaceChildren();
    message.textContent = `Pick two or more ${isOfCells ? "cells" : "rows"} in the table above to see them task by task.`;
    return;
  }
  // Against a baseline if one was picked: that is what was tested.
  const reference = picked.find((item) => item.isBaseline) ?? picked[0];
  const others = picked.filter((item) => item !== reference);
  const pairsOf = others.map((item) => paired(item.runs, reference.runs, isOfCells));
  const tasks = data.tasks.map((_, task) => task).filter((task) => picked.some((item) => item.runs.some((one) => one.task === task)));
  const at = (list, task, value) => mean(list.filter((one) => one.task === task).map(value));
  const lines = tasks.map((task) => ({
    number: task, task: data.tasks[task],
    values: [reference, ...others].map((item) => at(item.runs, task, (one) => one.value)),
    differences: pairsOf.map((pairs) => at(pairs, task, (one) => one.difference)),
  }));
  const columns = [text("task", "task"), { title: reference.label, sort: (line) => line.values[0], show: (line) => percent(line.values[0]) }];
  others.forEach((item, position) => columns.push(
    { title: item.label, sort: (line) => line.values[position + 1], show: (line) => percent(line.values[position + 1]) },
    { title: "difference", sort: (line) => line.differences[position], show: (line) => signed(line.differences[position]) },
  ));
  const line = (title, first, cells) => make("tr", {}, make("th", { scope: "row" }, title), make("td", {}, first),
    ...cells.flatMap(([own, difference]) => [make("td", {}, own), make("td", {}, difference)]));
  const footer = make("tfoot", {},
    line("mean over tasks", percent(reference.mean), others.map((item, position) =>
      [percent(item.mean), signed(overTasks(pairsOf[position], (one) => one.difference))])),
    line("pairs", "", pairsOf.map((pairs) => ["n", String(pairs.length)])),
    line("better, equal, worse", "", pairsOf.map((pairs) => ["", [1, 0, -1].map((sign) =>
      pairs.filter((one) => Math.sign(one.difference) === sign).length).join(", ")])),
    line("95 % interval", "", others.map((item) => ["", tested(item, reference, filter, (one) => within(one.interval).trim() || why("too few runs"))])),
    line("p (Holm)", "", others.map((item) => ["", tested(item, reference, filter, (one) => (one.holm === null ? why(one.why) : make("span", {},
      pValue(one.holm), " ", why(`${one.units} ${one.unit}; uncorrected ${pValue(one.p)}, Wilcoxon ${pValue(one.wilcoxon)}`))))])));
  table("comparison", "by", columns, lines, footer);
  message.textContent = `Differences in percentage points from ${reference.label}, `
    + (isOfCells ? "paired by task." : "paired by task and seed; where a seed is missing on either side, the mean of a difference may differ from the difference of the means.");
}

function tested(item, reference, filter, show) {
  if (!filter.isWhole) return why("none: filtered");
  if (item.row === undefined || !item.comparison || data.rows[item.row].baseline !== reference.number) {
    return why("none: only comparisons with a row's baseline are tested");
  }
  return show(item.comparison);
}

// Controls: made once, then kept in step with the address

const updates = [];

function radios(title, key, options) {
  const inputs = options.map(([value, label]) => {
    const input = make("input", { type: "radio", name: key, value, onchange: () => change(key === "view" ? { view: value, pick: "", sort: "", by: "" } : { [key]: value }) });
    updates.push(() => { input.checked = get(key) === value; });
    return make("label", {}, input, label);
  });
  return make("fieldset", {}, make("legend", {}, title), ...inputs);
}

function checks(title, key, options) {
  const inputs = options.map(([value, label]) => {
    const input = make("input", { type: "checkbox", name: key, value, onchange: () => {
      const others = numbers(key).filter((one) => one !== value);
      change({ [key]: input.checked ? others : [...others, value].sort((a, b) => a - b) });
    } });
    updates.push(() => { input.checked = !numbers(key).includes(value); });
    return make("label", {}, input, label);
  });
  const buttons = options.length < 4 ? [] : [
    make("button", { type: "button", onclick: () => change({ [key]: "" }) }, "all"),
    " ", make("button", { type: "button", onclick: () => change({ [key]: options.map(([value]) => value) }) }, "none"), " ",
  ];
  return make("fieldset", {}, make("legend", {}, title), ...buttons, ...inputs);
}

function methods() {
  const select = make("select", { name: "method", onchange: () => change({ method: select.value }) },
    ...data.methods.map((method, number) => make("option", { value: String(number) }, number ? method : "the row's own policy")));
  updates.push(() => { select.value = get("method"); });
  return make("fieldset", {}, make("legend", {}, "scores of"), make("label", {}, select));
}

function controls() {
  const roles = [...data.roles.map((role) => [role, role]), ...(data.roles.length > 1 ? [["all", "all"]] : [])];
  const levels = data.factors.map((factor, position) => checks(factor.name, "f" + position, [
    ...(data.rows.some((row) => row.levels[position] === null) ? [[-1, BASE]] : []),
    ...factor.levels.map((label, number) => [number, label]),
  ]));
  const tasks = checks("tasks", "tasks", data.tasks.map((task, number) => [number, task]));
  const seeds = checks("seeds", "seeds", data.seeds.map((seed, number) => [number, String(seed)]));
  const more = data.tasks.length > 12 ? make("details", {}, make("summary", {}, plural(data.tasks.length, "task")), tasks) : tasks;
  const reset = make("button", { type: "button", id: "reset", onclick: () => { state = new URLSearchParams(); change({}); } }, "show everything");
  document.getElementById("controls").append(
    make("div", {}, radios("show", "view", [["rows", "rows"], ["cells", "cells"]]), radios("tasks that were", "role", roles), methods()),
    make("div", {}, ...levels, seeds), more, make("div", {}, reset));
}

function draw() {
  for (const update of updates) update();
  const filter = chosen();
  const isOfCells = get("view") === "cells";
  const item = isOfCells ? cellItem : rowItem;
  const every = (isOfCells ? data.cells : data.rows).map((_, number) => number);
  const isShown = (number) => (isOfCells ? filter.row(data.cells[number].row) && filter.seed(data.cells[number].seed) : filter.row(number));
  const picks = numbers("pick").filter((number) => number in every && isShown(number));
  const items = every.filter(isShown).map((number) => item(number, filter));
  for (const one of items) one.style = `${one.isBaseline ? "baseline" : ""} ${picks.includes(one.number) ? "picked" : ""}`.trim();
  table("results", "sort", isOfCells ? cellColumns() : rowColumns(filter), items, null);
  document.getElementById("shown").textContent = `${items.length} of ${plural(every.length, isOfCells ? "cell" : "row")} shown.`
    + (isOfCells || filter.isWhole ? "" : " Means and differences are those of the runs that are shown. Intervals and p-values are left out: they are made for the row's own policy"
      + " on all tasks of one role with all seeds.");
  compare(picks.map((number) => items.find((one) => one.number === number)), isOfCells, filter);
}

read();
controls();
draw();
addEventListener("hashchange", () => { read(); draw(); });
})();
