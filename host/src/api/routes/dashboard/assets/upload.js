// The view to upload a version: the file of a model, dropped or chosen.

import { getJson } from "./client.js";
import { make, notice } from "./dom.js";
import { bytes } from "./format.js";

export function uploadView() {
  const file = make("input", { type: "file", id: "file", class: "file" });
  const chosen = make("p", { class: "hint", role: "status" }, "A component, a model file, or a tar archive of a version's folder.");
  const name = make("input", { id: "upload-model", required: true, autocomplete: "off", spellcheck: "false" });
  const version = make("input", { id: "upload-version", type: "number", min: 1, step: 1, required: true, value: 1 });
  const button = make("button", { class: "primary" }, "Upload");
  const outcome = make("div", { "aria-live": "polite" });
  const zone = make("div", { class: "drop" }, make("label", { for: "file" }, "Drop a file here, or choose one"), file, chosen);
  const form = make("form", { class: "panel" }, zone,
    make("div", { class: "fields" },
      make("label", {}, "Model ", name), make("label", {}, "Version ", version)),
    make("div", { class: "actions" }, button), outcome);
  const element = make("section", {}, make("h1", {}, "Upload"), form);

  let models = [];
  let typed = false;

  function choose() {
    const [taken] = file.files;
    if (!taken) return;
    chosen.textContent = `${taken.name}, ${bytes(taken.size)}`;
    if (!name.value) name.value = taken.name.replace(/(\.tar)?\.[^.]*$/, "").replace(/[^A-Za-z0-9._-]+/g, "-");
    suggestVersion();
  }

  /** Suggests the version after the newest one, until the visitor has typed one. */
  function suggestVersion() {
    if (typed) return;
    const versions = models.find((model) => model.name === name.value)?.versions ?? [];
    version.value = 1 + Math.max(0, ...versions.map((found) => Number(found.version ?? 0)));
  }

  acceptFile(zone, file, choose);
  file.addEventListener("change", choose);
  name.addEventListener("input", suggestVersion);
  version.addEventListener("input", () => (typed = true));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!file.files[0]) return outcome.replaceChildren(notice("Choose a file first.", "bad"));

    button.disabled = true;
    outcome.replaceChildren(make("progress", { "aria-label": "Uploading" }), notice("Uploading and loading. This takes a while for a large model."));
    outcome.replaceChildren(await put(name.value, version.value, file.files[0]));
    button.disabled = false;
    typed = false;
  });

  return { title: "Upload", element, update: (state) => (models = state.models) };
}

/** Sends the file. Returns a message with what became of it. */
async function put(name, version, file) {
  const path = `v2/repository/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}`;
  try {
    const { state, reason } = await getJson(path, { method: "PUT", body: file });
    const text = `Version ${version} of ${name} is ${state}${reason ? `: ${reason}` : ""}. `;
    const message = notice(text, state === "READY" ? "good" : "warn");
    message.append(make("a", { href: `#/models/${encodeURIComponent(name)}` }, `Go to ${name}`));
    return message;
  } catch (error) {
    return notice(error.message, "bad");
  }
}

/** Makes `zone` take a dropped file in place of the input's. */
export function acceptFile(zone, input, onFile) {
  const mark = (isOver) => zone.classList.toggle("over", isOver);

  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(true);
  });
  zone.addEventListener("dragleave", () => mark(false));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    input.files = event.dataTransfer.files;
    onFile();
  });
}
