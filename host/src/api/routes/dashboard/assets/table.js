// Tables: pasted from a spreadsheet, and shown.

import { make } from "./dom.js";

/**
 * Turns what was pasted into CSV. A spreadsheet puts tabs between cells; CSV from a file is left as it
 * is.
 */
export function toCsv(text) {
  const lines = text.replace(/\r\n?/g, "\n").replace(/\n+$/, "").split("\n");
  if (!lines[0].includes("\t")) return lines.join("\n");
  return lines.map((line) => line.split("\t").map(cell).join(",")).join("\n");
}

/** Quotes a cell where CSV needs it. A cell that the spreadsheet has quoted is left as it is. */
function cell(text) {
  const isQuoted = text.length > 1 && text.startsWith('"') && text.endsWith('"');
  return !isQuoted && /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Returns predictions as a table: a row for each, a column for each output. */
export function predictionsTable(predictions) {
  const isRecord = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const columns = [...new Set(predictions.flatMap((row) => (isRecord(row) ? Object.keys(row) : ["prediction"])))];
  const row = (prediction, index) => [index + 1, ...columns.map((column) => (isRecord(prediction) ? prediction[column] : prediction))];

  return resultTable("Predictions", ["Row", ...columns], predictions.map(row));
}

/** Returns the outputs of inference as a table: a row for each tensor. */
export function outputsTable(outputs) {
  const rows = outputs.map(({ name, datatype, shape, data }) => [name, `${datatype} [${shape.join(", ")}]`, data]);
  return resultTable("Outputs", ["Output", "Type and shape", "Values"], rows);
}

/** Values beyond this number are not shown. */
const MAX_VALUES = 64;

/** Rows beyond this number are not shown. */
const MAX_ROWS = 200;

function resultTable(caption, columns, rows) {
  const head = columns.map((column) => make("th", { scope: "col" }, column));
  const body = rows.slice(0, MAX_ROWS).map(([first, ...rest]) =>
    make("tr", {}, make("th", { scope: "row" }, String(first)), ...rest.map((value) => make("td", {}, shown(value)))));
  const table = make("table", {}, make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
  const more = rows.length > MAX_ROWS ? make("p", { class: "hint" }, `${rows.length - MAX_ROWS} more rows`) : null;

  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, table, more);
}

function shown(value) {
  if (value === undefined || value === null) return "–";
  if (!Array.isArray(value)) return typeof value === "object" ? JSON.stringify(value) : String(value);

  const flat = value.flat(Infinity);
  const texts = flat.slice(0, MAX_VALUES).map(shown);
  return texts.join(", ") + (flat.length > MAX_VALUES ? `, and ${flat.length - MAX_VALUES} more` : "");
}
