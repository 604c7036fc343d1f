// The view of one model: its versions, its last hour, and a form to try it.

import { getJson, modelPath } from "./client.js";
import { keyed, make, setText } from "./dom.js";
import { bytes, cores, count, latency } from "./format.js";
import { memoryOf, modelState } from "./models.js";
import { plotFigure } from "./plots.js";
import { tryForm } from "./try.js";

/** Milliseconds between two looks at the history. */
const REFRESH = 2000;

const VERSIONS = ["Version", "State", "Instances", "Memory", "CPU time", "Runtime", "Digest"];

export function modelView({ parameter: name }) {
  const badge = make("span", { class: "badge" });
  const reason = make("p", { class: "reason", hidden: true });
  const figures = make("p", { class: "hint" });
  const versions = make("tbody", { role: "rowgroup" });
  const head = VERSIONS.map((column) => make("th", { scope: "col", role: "columnheader" }, column));
  const table = make("table", { class: "stacked", role: "table", "aria-label": "Versions" },
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...head)), versions);
  const hour = lastHour(name);
  const attempt = make("div", {});

  const element = make("section", {},
    make("p", { class: "crumbs" }, make("a", { href: "#/" }, "Models")),
    make("h1", {}, name, " ", badge), reason, figures,
    make("h2", {}, "Versions"), table,
    make("h2", {}, "The last hour"), hour.element,
    attempt);

  let tried = "";

  function update(state) {
    const model = state.models.find((found) => found.name === name);
    const shown = model ? modelState(model) : { kind: "bad", text: "Gone", reason: "There is no such model for this key." };
    badge.className = `badge ${shown.kind}`;
    setText(badge, shown.text);
    setText(reason, shown.reason);
    reason.hidden = !shown.reason;
    setText(figures, model ? summary(model, state.cpu.get(name)) : "");
    keyed(versions, model?.versions ?? [], (version) => version.version ?? "", createVersion, updateVersion);

    // The form is made once for each content that serves, so that what is typed stays.
    const serving = model?.versions.filter((version) => version.serving).at(-1);
    const digest = serving?.serving.digest ?? "";
    if (state.scopes.includes("infer") && digest !== tried) {
      tried = digest;
      if (digest) tryForm(name).then((form) => attempt.replaceChildren(form));
      else attempt.replaceChildren();
    }
    hour.update(digest);
  }

  return { title: name, element, update, close: hour.close };
}

function summary(model, used) {
  const { hour } = model;
  const requests = `Requests in the last hour: ${count(hour?.answered ?? 0)} answered, ${count(hour?.failed ?? 0)} failed`;
  return `${requests}. It uses ${cores(used ?? 0)} and ${bytes(memoryOf(model))} of memory.`;
}

function createVersion({ version }) {
  const cells = VERSIONS.slice(1).map((column) => make("td", { role: "cell", "data-label": column }));
  cells[0].append(make("span", { class: "badge" }), make("span", { class: "reason" }));
  return make("tr", { role: "row" }, make("th", { scope: "row", role: "rowheader" }, version ?? "–"), ...cells);
}

function updateVersion(row, version) {
  const [, state, ...cells] = row.children;
  const { kind, text } = modelState({ versions: [version] });
  const [badge, because] = state.children;
  badge.className = `badge ${kind}`;
  setText(badge, text);
  setText(because, version.reason);

  const { serving } = version;
  const values = [
    serving ? `${serving.busy_instances} busy, ${serving.idle_instances} idle` : "–",
    serving ? bytes(serving.memory_bytes) : "–",
    serving ? latency(serving.cpu_ms * 1000) : "–",
    version.runtime ?? (serving ? "component" : "–"),
    serving ? serving.digest.slice(0, 12) : "–",
  ];
  cells.forEach((cell, index) => setText(cell, values[index]));
}

/** The plots of the last hour, and the same numbers as a table. */
function lastHour(name) {
  const latencies = plotFigure("Latency", [["p50", "half took no longer"], ["p95", "95 of 100"], ["p99", "99 of 100"], ["published", "a version went live"]]);
  const requests = plotFigure("Requests per minute", [["answered", "answered"], ["failed", "failed"], ["published", "a version went live"]]);
  const published = make("p", { class: "hint", role: "status" });
  const head = ["Minute", "Answered", "Failed", "p50", "p95", "p99"].map((column) => make("th", { scope: "col" }, column));
  const rows = make("tbody");
  const table = make("table", {}, make("caption", {}, "Requests by minute"), make("thead", {}, make("tr", {}, ...head)), rows);
  const element = make("div", {}, make("div", { class: "plots" }, latencies.element, requests.element), published,
    make("details", {}, make("summary", {}, "The numbers as a table"), make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Requests by minute" }, table)));

  let timer = 0;
  let serves = "";

  async function refresh() {
    clearTimeout(timer);
    if (serves && !document.hidden) {
      try {
        draw(await getJson(`${modelPath(name, "/history")}?width=${Math.round(latencies.width())}`));
      } catch { /* The model is being replaced or unloaded; its state says so. */ }
    }
    if (element.isConnected) timer = setTimeout(refresh, REFRESH);
  }

  function draw({ minutes, published: versions, plots }) {
    latencies.draw(plots.latency, describe(minutes));
    requests.draw(plots.requests, `${count(minutes.reduce((sum, minute) => sum + minute.answered, 0))} requests in the last hour`);
    setText(published, versions.map(({ version, seconds_ago }) => `Version ${version} went live ${ago(seconds_ago)}`).slice(0, 3).join(". "));
    keyed(rows, [...minutes].reverse(), (minute) => minute.minutes_ago, createMinute, updateMinute);
  }

  function update(digest) {
    const isNew = digest !== serves;
    serves = digest;
    if (isNew) refresh();
  }

  return { element, update, close: () => clearTimeout(timer) };
}

function describe(minutes) {
  const last = minutes.filter((minute) => minute.latency).at(-1);
  if (!last) return "No requests in the last hour";
  const { p50_us, p95_us, p99_us } = last.latency;
  return `In the latest minute p50 was ${latency(p50_us)}, p95 ${latency(p95_us)} and p99 ${latency(p99_us)}`;
}

function ago(seconds) {
  return seconds < 60 ? "less than a minute ago" : `${count(seconds / 60)} min ago`;
}

function createMinute() {
  return make("tr", {}, make("th", { scope: "row" }), ...Array.from({ length: 5 }, () => make("td", { class: "number" })));
}

function updateMinute(row, { minutes_ago, answered, failed, latency: taken }) {
  const values = [
    minutes_ago === 0 ? "now" : `${minutes_ago} min ago`,
    count(answered),
    count(failed),
    latency(taken?.p50_us),
    latency(taken?.p95_us),
    latency(taken?.p99_us),
  ];
  [...row.children].forEach((cell, index) => setText(cell, values[index]));
}
