// The view of all models.

import { keyed, make, setText } from "./dom.js";
import { bytes, cores, count, latency, ofLimit } from "./format.js";

const COLUMNS = ["Model", "State", "Versions", "Requests", "Failed", "p50", "p95", "p99", "CPU", "Memory"];

export function modelsView() {
  const cards = make("dl", { class: "cards", "aria-label": "The last hour" });
  const head = COLUMNS.map((column) => make("th", { scope: "col", role: "columnheader" }, column));
  const rows = make("tbody", { role: "rowgroup" });
  const table = make("table", { class: "stacked", role: "table", "aria-describedby": "hour" },
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...head)), rows);
  const empty = make("p", { class: "hint", hidden: true },
    "There is no model yet. Put one into the repository, or upload one.");
  const hour = make("p", { class: "hint", id: "hour" },
    "Requests and latencies are those of the last hour, as the server measured them.");
  const element = make("section", {}, make("h1", {}, "Models"), cards, table, empty, hour);

  function update(state) {
    const { models, usage, cpu } = state;
    updateCards(cards, models, usage, cpu.get(""));
    keyed(rows, models, (model) => model.name, createRow, (row, model) => updateRow(row, model, cpu));
    table.hidden = hour.hidden = models.length === 0;
    empty.hidden = models.length > 0;
  }

  return { title: "Models", element, update };
}

/** The state of a model as a whole: that of its best version, and whether a load has failed since. */
export function modelState({ versions }) {
  const has = (state) => versions.some((version) => version.state === state);
  const reason = lastReason(versions);

  if (versions.some((version) => version.serving?.suspended)) return { kind: "bad", text: "Suspended", reason };
  if (has("READY")) return { kind: reason ? "warn" : "good", text: "Ready", reason };
  if (has("LOADING")) return { kind: "warn", text: "Loading", reason };
  if (has("UNLOADING")) return { kind: "warn", text: "Unloading", reason };
  return { kind: "bad", text: "Unavailable", reason };
}

/** The reason of the newest version that has one. That an older version does not serve is no failure. */
function lastReason(versions) {
  const number = (version) => Number(version.version ?? Infinity);
  const ready = Math.max(0, ...versions.filter((version) => version.state === "READY").map(number));
  const told = versions.filter((version) => version.reason && number(version) >= ready);
  return told.reduce((newest, version) => (number(version) > number(newest) ? version : newest), told[0])?.reason ?? "";
}

/** The bytes of memory of a model's instances. */
export function memoryOf({ versions }) {
  return versions.reduce((sum, { serving }) => sum + (serving?.memory_bytes ?? 0), 0);
}

function updateCards(cards, models, usage, used) {
  const ready = models.filter((model) => model.versions.some((version) => version.state === "READY"));
  const sum = (key) => models.reduce((total, model) => total + (model.hour?.[key] ?? 0), 0);
  const shown = [
    ["Tenant", usage.tenant],
    ["Ready", `${ready.length} of ${models.length}`],
    ["Requests", count(sum("answered"))],
    ["Failed", count(sum("failed"))],
    ["CPU now", cores(used)],
    ["Memory", ofLimit(usage.quota.memory, bytes)],
  ];

  const create = ([name]) => make("div", {}, make("dt", {}, name), make("dd"));
  keyed(cards, shown, ([name]) => name, create, (card, [, value]) => setText(card.lastChild, value));
}

function createRow({ name }) {
  const link = make("a", { href: `#/models/${encodeURIComponent(name)}` }, name);
  const cells = COLUMNS.slice(1).map((column) => make("td", { role: "cell", "data-label": column }));
  cells[0].append(make("span", { class: "badge" }), make("span", { class: "reason" }));
  cells.slice(2).forEach((cell) => cell.classList.add("number"));
  return make("tr", { role: "row" }, make("th", { scope: "row", role: "rowheader" }, link), ...cells);
}

function updateRow(row, model, cpu) {
  const [, state, ...cells] = row.children;
  const { kind, text, reason } = modelState(model);
  const [badge, because] = state.children;
  badge.className = `badge ${kind}`;
  setText(badge, text);
  setText(because, reason);

  const { hour } = model;
  const serving = model.versions.filter((version) => version.serving).map((version) => version.version);
  const values = [
    serving.join(", ") || "–",
    count(hour?.answered ?? 0),
    count(hour?.failed ?? 0),
    latency(hour?.latency?.p50_us),
    latency(hour?.latency?.p95_us),
    latency(hour?.latency?.p99_us),
    cores(cpu.get(model.name)),
    bytes(memoryOf(model)),
  ];
  cells.forEach((cell, index) => setText(cell, values[index]));
}
