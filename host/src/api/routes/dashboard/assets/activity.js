// The views of what models have logged, and of deferred tasks.

import { getJson, send } from "./client.js";
import { keyed, make, notice, setText } from "./dom.js";
import { clock, count } from "./format.js";

/** Milliseconds between two looks. */
const REFRESH = 2000;

export function logsView() {
  const model = make("select", { id: "log-model" }, make("option", { value: "" }, "all models"));
  const dropped = make("p", { class: "hint" });
  const list = make("ol", { class: "log", tabindex: 0, "aria-label": "Lines, latest first" });
  const empty = make("p", { class: "hint" }, "No model has logged anything yet.");

  async function refresh() {
    const query = model.value ? `?model=${encodeURIComponent(model.value)}` : "";
    const { lines, dropped: lost } = await getJson(`v2/logs${query}`);
    const numbered = lines.map((line, index) => ({ ...line, key: `${line.time_ms} ${index} ${line.message}` }));
    keyed(list, numbered.reverse(), (line) => line.key, createLine, () => {});
    empty.hidden = lines.length > 0;
    setText(dropped, lost > 0 ? `${count(lost)} lines were dropped, because they came too fast.` : "");
  }

  const view = polledView("Logs", refresh,
    make("label", { class: "inline" }, "Model ", model), dropped, empty, list);
  model.addEventListener("change", view.refresh);

  return { ...view, update: (state) => updateChoices(model, state.models) };
}

function updateChoices(select, models) {
  const names = ["", ...models.map((model) => model.name)];
  keyed(select, names, (name) => name, (name) => make("option", { value: name }, name || "all models"), () => {});
}

function createLine({ time_ms, model, version, level, context, message }) {
  return make("li", { class: `level-${level}` },
    make("time", { datetime: new Date(time_ms).toISOString() }, clock(time_ms)), " ",
    make("span", { class: "level" }, level), " ",
    make("span", { class: "source" }, `${model} ${version}${context ? ` ${context}` : ""}`), " ",
    make("span", { class: "message" }, message));
}

const TASKS = ["Task", "Model", "State", "Tries", "Deferred", "Error"];

export function tasksView() {
  const head = [...TASKS, "Action"].map((column) => make("th", { scope: "col", role: "columnheader" }, column));
  const rows = make("tbody", { role: "rowgroup" });
  const table = make("table", { class: "stacked", role: "table", "aria-label": "Deferred tasks" },
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...head)), rows);
  const empty = make("p", { class: "hint" }, "No task waits, runs or has failed.");

  async function refresh() {
    const { tasks } = await getJson("v2/tasks");
    keyed(rows, tasks, (task) => task.id, (task) => createTask(task, view), updateTask);
    table.hidden = tasks.length === 0;
    empty.hidden = tasks.length > 0;
  }

  const view = polledView("Tasks", refresh, empty, table);
  return view;
}

function createTask({ id, name }, view) {
  const cancel = async () => {
    await send(`v2/tasks/${encodeURIComponent(id)}`, { method: "DELETE" }).catch(view.fail);
    view.refresh();
  };
  const cells = TASKS.slice(1).map((column) => make("td", { role: "cell", "data-label": column }));
  const button = make("button", { click: cancel, "aria-label": `Cancel task ${id}` }, "Cancel");
  return make("tr", { role: "row" }, make("th", { scope: "row", role: "rowheader" }, `${id} ${name}`), ...cells,
    make("td", { role: "cell" }, button));
}

function updateTask(row, { model, version, state, tries, deferred_ms, error }) {
  const values = [`${model} ${version}`, state, tries, clock(deferred_ms), error ?? ""];
  [...row.children].slice(1, -1).forEach((cell, index) => setText(cell, values[index]));
}

/** A view that asks again while it is shown. An error is shown until the next answer. */
function polledView(title, refresh, ...children) {
  const message = make("div");
  const element = make("section", {}, make("h1", {}, title), message, ...children);
  let timer = 0;

  const fail = (error) => message.replaceChildren(notice(error.message, "bad"));

  async function look() {
    clearTimeout(timer);
    try {
      await refresh();
      message.replaceChildren();
    } catch (error) {
      fail(error);
    }
    if (element.isConnected) timer = setTimeout(look, REFRESH);
  }

  setTimeout(look);
  return { title, element, refresh: look, fail, close: () => clearTimeout(timer) };
}
