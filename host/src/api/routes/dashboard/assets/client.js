// Requests to the server that sent this page.

import * as credentials from "./credentials.js";

/** An answer that is an error: its status, its code and its text. */
export class Refusal extends Error {
  constructor(status, code, text) {
    super(text);
    this.status = status;
    this.code = code;
  }
}

/** Sends a request with the visitor's key. Throws a Refusal for an answer that is an error. */
export async function send(path, options = {}) {
  const headers = { ...credentials.headers(), ...options.headers };
  const response = await fetch(path, { ...options, headers, cache: "no-store" });
  if (!response.ok) throw await refusal(response);
  return response;
}

/** Sends a request and returns the JSON of its answer. */
export async function getJson(path, options) {
  return parse(await (await send(path, options)).text());
}

/** The path of a model's route. */
export const modelPath = (name, route = "") => `v2/models/${encodeURIComponent(name)}${route}`;

/**
 * Parses JSON. A number that JavaScript cannot hold, such as a large integer of 64 bits, becomes its
 * text where the browser tells it.
 */
export function parse(text) {
  return JSON.parse(text, (_key, value, context) => {
    const isExact = typeof value !== "number" || !Number.isInteger(value) || Number.isSafeInteger(value);
    return isExact ? value : context?.source ?? value;
  });
}

async function refusal(response) {
  const text = await response.text();
  try {
    const { error, code } = JSON.parse(text);
    return new Refusal(response.status, code, error);
  } catch {
    return new Refusal(response.status, "unknown", text || `The server answered ${response.status}.`);
  }
}
