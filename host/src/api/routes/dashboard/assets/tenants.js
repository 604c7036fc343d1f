// The view of all tenants, for operators.

import { getJson } from "./client.js";
import * as credentials from "./credentials.js";
import { keyed, make, notice, setText } from "./dom.js";
import { bytes, cores, count } from "./format.js";

/** Milliseconds between two looks. */
const REFRESH = 2000;

const COLUMNS = ["Tenant", "CPU now", "CPU time", "Memory", "Requests under way", "Instances", "Models", "Refused"];

export function tenantsView({ reconnect }) {
  const message = make("div");
  const faults = make("ul", { class: "faults" });
  const head = COLUMNS.map((column) => make("th", { scope: "col", role: "columnheader" }, column));
  const rows = make("tbody", { role: "rowgroup" });
  const table = make("table", { class: "stacked", role: "table" },
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...head)), rows);
  const element = make("section", {}, make("h1", {}, "Tenants"), message, faults, table);

  let timer = 0;
  let before = null;

  async function refresh() {
    try {
      const { tenants, faults: found } = await getJson("v2/tenants");
      const now = performance.now();
      keyed(faults, found, (fault) => fault, (fault) => make("li", {}, notice(fault, "bad")), () => {});
      keyed(rows, tenants, ({ tenant }) => tenant, (tenant) => createRow(tenant, reconnect),
        (row, tenant) => updateRow(row, tenant, before, now));
      before = { at: now, used: new Map(tenants.map(({ tenant, cpu_seconds }) => [tenant, cpu_seconds])) };
      message.replaceChildren();
    } catch (error) {
      message.replaceChildren(notice(error.message, "bad"));
    }
    if (element.isConnected) timer = setTimeout(refresh, REFRESH);
  }

  setTimeout(refresh);
  return { title: "Tenants", element, close: () => clearTimeout(timer) };
}

function createRow({ tenant }, reconnect) {
  const look = () => {
    credentials.remember(credentials.key(), tenant);
    document.getElementById("tenant").value = tenant;
    location.hash = "#/";
    reconnect();
  };
  const button = make("button", { class: "link", click: look }, tenant);
  const cells = COLUMNS.slice(1).map((column) => make("td", { class: "number", role: "cell", "data-label": column }));
  cells[2].append(make("span"), make("meter", { min: 0, "aria-label": `Memory of ${tenant}` }));
  return make("tr", { role: "row" }, make("th", { scope: "row", role: "rowheader" }, button), ...cells);
}

function updateRow(row, { tenant, cpu_seconds, quota, refused }, before, now) {
  const [, cpu, total, memory, ...cells] = row.children;
  const earlier = before?.used.get(tenant);
  setText(cpu, cores(earlier === undefined ? null : (cpu_seconds - earlier) * 1000 / (now - before.at)));
  setText(total, `${count(cpu_seconds)} s`);

  const [text, meter] = memory.children;
  setText(text, bytes(quota.memory.used));
  meter.hidden = quota.memory.limit === null;
  meter.max = quota.memory.limit ?? 1;
  meter.value = quota.memory.used;

  const values = [quota.concurrency.used, quota.instances.used, quota.models.used, refused];
  cells.forEach((cell, index) => setText(cell, count(values[index])));
}
