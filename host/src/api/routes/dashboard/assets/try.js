// A form to try a model, made from its metadata.

import { getJson, modelPath, parse, send } from "./client.js";
import { make, notice } from "./dom.js";
import { events } from "./events.js";
import { inputField } from "./fields.js";
import { outputsTable, predictionsTable, toCsv } from "./table.js";

/** Makes the form of a model. A failure to read the metadata is shown in its place. */
export async function tryForm(name) {
  const element = make("section", { class: "try", "aria-labelledby": "try" }, make("h2", { id: "try" }, "Try it"));

  try {
    const [metadata, config] = await Promise.all([getJson(modelPath(name)), getJson(modelPath(name, "/config"))]);
    const optional = new Set(config.input.filter((input) => input.optional).map((input) => input.name));
    const inputs = (metadata.inputs ?? []).map((input) => ({ ...input, optional: optional.has(input.name) }));
    const { description, ...properties } = metadata.properties ?? {};

    element.append(make("p", {}, description ?? ""), propertyList(properties), ...modes(name, inputs, properties));
  } catch (error) {
    element.append(notice(error.message, "bad"));
  }

  return element;
}

function propertyList(properties) {
  const entries = Object.entries(properties);
  if (entries.length === 0) return "";
  const rows = entries.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  return make("details", {}, make("summary", {}, "What the model says about itself"), make("dl", { class: "properties" }, ...rows));
}

/** The ways to ask, one of which is shown: fields, or a table. */
function modes(name, inputs, properties) {
  const names = featureNames(properties);
  const forms = { fields: fieldsForm(name, inputs, names), table: tableForm(name, inputs, names) };
  const titles = { fields: "Fields", table: "Table" };

  const choice = (mode, index) => {
    const radio = make("input", { type: "radio", name: "mode", value: mode, checked: index === 0, change: () => choose(mode) });
    return make("label", { class: "inline" }, radio, titles[mode]);
  };
  const choose = (mode) => Object.entries(forms).forEach(([other, form]) => (form.hidden = other !== mode));

  choose("fields");
  return [make("fieldset", { class: "modes" }, make("legend", {}, "Ask with"), ...Object.keys(forms).map(choice)), ...Object.values(forms)];
}

function featureNames(properties) {
  try {
    const names = JSON.parse(properties.feature_names ?? "[]");
    return Array.isArray(names) ? names.map(String) : [];
  } catch {
    return [];
  }
}

/** A field for each input. Asks by inference, or for a stream. */
function fieldsForm(name, inputs, names) {
  const fields = inputs.map((input) => ({ ...inputField(input, names), input }));
  const isText = fields.some((field) => field.isText);
  const streamed = make("input", { type: "checkbox" });
  const parameters = make("textarea", { rows: 2, spellcheck: "false", placeholder: '{"max_tokens": 50}' });
  const more = make("details", {}, make("summary", {}, "Parameters"),
    make("label", {}, "A JSON object", parameters));
  const stream = isText ? make("label", { class: "inline" }, streamed, "Show the answer as it is written") : null;

  return askingForm([...fields.map((field) => field.element), stream, more], async (show, signal) => {
    const given = fields.map(({ read, input }) => ({ input, value: read() })).filter(({ value }) => value !== null);
    const extra = parameters.value.trim() || "{}";
    try {
      JSON.parse(extra);
    } catch {
      throw new Error("The parameters are not a JSON object.");
    }

    if (streamed.checked) return streamAnswer(name, given, extra, show, signal);

    const tensors = given.map(({ input, value }) =>
      `{"name":${JSON.stringify(input.name)},"datatype":"${input.datatype}","shape":[${value.shape}],"data":${value.json}}`);
    const { response, json } = await ask(name, "/infer", `{"parameters":${extra},"inputs":[${tensors}]}`, "application/json", signal);
    show(outputsTable(json.outputs), timing(response));
  });
}

/** A table pasted from a spreadsheet, or a CSV file. Asks for predictions. */
function tableForm(name, inputs, names) {
  const header = (names.length > 0 ? names : inputs.map((input) => input.name)).join(",");
  const box = make("textarea", { rows: 6, spellcheck: "false", class: "code" });
  box.value = `${header}\n`;
  const label = make("label", {}, "Rows with a header, pasted from a spreadsheet or as CSV", box);

  return askingForm([label], async (show, signal) => {
    const { response, json } = await ask(name, "/predict", toCsv(box.value), "text/csv", signal);
    show(predictionsTable(json.predictions), timing(response));
  });
}

/** A form that asks, and shows the answer or the reason that there is none. */
function askingForm(children, onAsk) {
  const button = make("button", { class: "primary" }, "Ask");
  const stop = make("button", { type: "button", hidden: true }, "Stop");
  const answer = make("div", { class: "answer", "aria-live": "polite" });
  const form = make("form", { class: "panel" }, ...children, make("div", { class: "actions" }, button, stop), answer);
  let asking = null;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    asking = new AbortController();
    button.disabled = true;
    stop.hidden = false;
    answer.replaceChildren();

    try {
      await onAsk((...shown) => answer.replaceChildren(...shown.filter(Boolean)), asking.signal);
    } catch (error) {
      const text = error.name === "AbortError" ? "Stopped." : error.message;
      answer.append(notice(text, error.name === "AbortError" ? "info" : "bad"));
    }
    button.disabled = false;
    stop.hidden = true;
  });
  stop.addEventListener("click", () => asking?.abort());

  return form;
}

async function ask(name, route, body, type, signal) {
  const response = await send(modelPath(name, route), { method: "POST", body, signal, headers: { "Content-Type": type } });
  return { response, json: parse(await response.text()) };
}

/** Shows the parts of an answer as they come: texts are joined, other values replace each other. */
async function streamAnswer(name, given, extra, show, signal) {
  const members = given.map(({ input, value }) => `${JSON.stringify(input.name)}:${single(value)}`);
  const body = `{${[...members, `"parameters":${extra}`]}}`;
  const options = { method: "POST", body, signal, headers: { "Content-Type": "application/json" } };
  const response = await send(modelPath(name, "/generate_stream"), options);
  const outputs = new Map();
  const list = make("dl", { class: "stream" });
  show(list);

  for await (const data of events(response)) {
    const { model_name, model_version, id, error, ...parts } = parse(data);
    if (error) throw new Error(error);

    for (const [output, value] of Object.entries(parts)) {
      if (!outputs.has(output)) {
        outputs.set(output, make("dd"));
        list.append(make("dt", {}, output), outputs.get(output));
      }
      const shown = outputs.get(output);
      if (typeof value === "string") shown.append(value);
      else shown.textContent = JSON.stringify(value);
    }
  }
}

/** The JSON of an input for `generate`: a single value stands for itself. */
function single({ json, shape }) {
  return shape.reduce((product, size) => product * size, 1) === 1 ? json.slice(1, -1) : json;
}

/** The time that the server took, which it tells in a header. */
function timing(response) {
  const parts = response.headers.get("server-timing") ?? "";
  const texts = [...parts.matchAll(/(\w+);dur=([\d.]+)/g)].map(([, part, millis]) => `${part} ${millis} ms`);
  return make("p", { class: "hint" }, texts.join(", "));
}
