// The frame of the page: the key, the views and the state that they show.

import * as credentials from "./credentials.js";
import { make, notice, setText } from "./dom.js";
import { follow } from "./live.js";
import { logsView, tasksView } from "./activity.js";
import { modelView } from "./model.js";
import { modelsView } from "./models.js";
import { tenantsView } from "./tenants.js";
import { uploadView } from "./upload.js";

const STATUS = {
  live: "Live",
  polling: "Updated every few seconds: this key has too many open pages",
  waiting: "The server does not answer. Trying again",
  refused: "Not connected",
  hidden: "Paused",
};

const VIEWS = {
  "": modelsView,
  models: modelView,
  upload: uploadView,
  logs: logsView,
  tasks: tasksView,
  tenants: tenantsView,
};

const byId = (id) => document.getElementById(id);
const content = byId("content");

let view = null;
let state = null;
let isRefused = false;
let stop = () => {};

/** Shows the view that the address names. Each view has `title`, `element`, `update` and `close`. */
function show() {
  const [name, parameter] = location.hash.replace(/^#\/?/, "").split("/");
  const open = VIEWS[name] ?? modelsView;

  view?.close?.();
  view = open({ parameter: decodeURIComponent(parameter ?? ""), reconnect });
  content.replaceChildren(view.element);
  document.title = `${view.title} · Wardian`;

  for (const link of document.querySelectorAll("nav a")) {
    const isHere = link.getAttribute("href") === `#/${name === "models" ? "" : name}`;
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (state) view.update?.(state);
}

function onState(newState) {
  state = newState;
  if (isRefused) {
    isRefused = false;
    byId("access").open = false;
    show();
  }

  for (const link of document.querySelectorAll("nav a[data-scope]")) {
    link.hidden = !state.scopes.includes(link.dataset.scope);
  }
  view?.update?.(state);
}

function onStatus(status) {
  const connection = byId("connection");
  connection.dataset.status = status;
  setText(connection, STATUS[status]);
}

/** Shows why the server refuses this visitor, and asks for a key. */
function onRefusal(refusal) {
  onStatus("refused");
  state = null;
  isRefused = true;
  view?.close?.();
  content.replaceChildren(make("h1", {}, "Not connected"), notice(refusal.message, "bad"));
  byId("access").open = true;
  byId(refusal.status === 400 ? "tenant" : "key").focus();
}

/** Connects with the present key. */
function reconnect() {
  stop();
  state = null;
  show();
  stop = follow(onState, onStatus, onRefusal);
}

byId("credentials").addEventListener("submit", (event) => {
  event.preventDefault();
  credentials.remember(byId("key").value.trim(), byId("tenant").value.trim());
  byId("access").open = false;
  content.focus();
  reconnect();
});

byId("forget").addEventListener("click", () => {
  credentials.forget();
  byId("key").value = byId("tenant").value = "";
  reconnect();
});

byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  content.focus();
});

window.addEventListener("hashchange", () => {
  show();
  content.focus();
});

byId("key").value = credentials.key();
byId("tenant").value = credentials.tenant();
reconnect();
