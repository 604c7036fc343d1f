// A field of the form for each input of a model, from the input's datatype and shape.

import { make, notice } from "./dom.js";
import { imageLayout, readPixels } from "./image.js";
import { acceptFile } from "./upload.js";

/** Inputs of up to so many numbers get a box for each. */
const MAX_BOXES = 32;

/**
 * Makes the field of an input: `element`, and `read`, which returns the shape and the JSON of the
 * data, or null for an optional input that is left out. `read` throws an Error that says what to mend.
 */
export function inputField(spec, names) {
  const length = spec.shape.reduce((product, size) => product * Math.max(size, 1), 1);
  if (spec.datatype === "BYTES") return textField(spec, length);
  if (imageLayout(spec)) return imageField(spec);
  if (length <= MAX_BOXES && spec.shape.filter((size) => size < 0).length <= 1) return numberBoxes(spec, length, names);
  return numberList(spec);
}

const label = ({ name, datatype, shape, optional }) =>
  `${name} (${datatype}${shape.length ? ` ${shape.map((size) => (size < 0 ? "any" : size)).join(" × ")}` : ""}${optional ? ", optional" : ""})`;

/** One text, or one on each line. */
function textField(spec, length) {
  const isOne = length === 1;
  const box = make("textarea", { rows: 3, spellcheck: "false" });
  const element = make("label", {}, label(spec), isOne ? null : " one on each line", box);

  function read() {
    if (box.value === "" && spec.optional) return null;
    const texts = isOne ? [box.value] : box.value.split("\n");
    return { shape: fit(spec, texts.length), json: JSON.stringify(texts) };
  }

  return { element, read, isText: true };
}

/** A box for each number. */
function numberBoxes(spec, length, names) {
  const isBoolean = spec.datatype === "BOOL";
  const named = names.length === length;
  const boxes = Array.from({ length }, () => isBoolean
    ? make("select", {}, ...["", "false", "true"].map((value) => make("option", {}, value)))
    : make("input", { inputmode: "decimal", autocomplete: "off" }));
  const caption = (index) => (named ? names[index] : length > 1 ? `${spec.name} ${index}` : "Value");
  const element = make("fieldset", {}, make("legend", {}, label(spec)),
    make("div", { class: "fields" }, ...boxes.map((box, index) => make("label", {}, caption(index), box))));

  function read() {
    if (spec.optional && boxes.every((box) => box.value === "")) return null;
    return { shape: fit(spec, length), json: `[${boxes.map((box, index) => number(box.value, `${spec.name}, ${caption(index)}`)).join(",")}]` };
  }

  return { element, read };
}

/** Numbers with anything between them, as they are pasted. */
function numberList(spec) {
  const box = make("textarea", { rows: 4, spellcheck: "false", placeholder: "1, 2, 3" });
  const element = make("label", {}, `${label(spec)}: numbers`, box);

  function read() {
    const words = box.value.split(/[\s,;[\]]+/).filter(Boolean);
    if (words.length === 0 && spec.optional) return null;
    return { shape: fit(spec, words.length), json: `[${words.map((word) => number(word, spec.name)).join(",")}]` };
  }

  return { element, read };
}

/** An image, or its numbers. */
function imageField(spec) {
  const layout = imageLayout(spec);
  const list = numberList(spec);
  const file = make("input", { type: "file", accept: "image/*", class: "file", "aria-label": `Image for ${spec.name}` });
  const most = make("input", { type: "number", value: spec.datatype === "UINT8" ? 255 : 1, min: 0, step: "any" });
  const inverted = make("input", { type: "checkbox" });
  const preview = make("div", { class: "preview", "aria-live": "polite" });
  const zone = make("div", { class: "drop" }, make("span", {}, "Drop an image here, or choose one"), file, preview);
  const element = make("fieldset", {}, make("legend", {}, label(spec)), zone,
    make("div", { class: "fields" },
      make("label", {}, "Greatest value", most),
      make("label", { class: "inline" }, inverted, "Dark is the greatest")),
    make("details", {}, make("summary", {}, "Enter numbers instead"), list.element));

  let pixels = null;

  async function take() {
    pixels = null;
    preview.replaceChildren();
    if (!file.files[0]) return;

    try {
      pixels = await readPixels(file.files[0], layout, Number(most.value), inverted.checked);
      const canvas = make("canvas", { width: pixels.width, height: pixels.height, role: "img", "aria-label": `${file.files[0].name}, as the model gets it` });
      canvas.getContext("2d").drawImage(pixels.canvas, 0, 0);
      preview.replaceChildren(canvas, ` ${pixels.width} × ${pixels.height} pixels`);
    } catch {
      preview.replaceChildren(notice("The browser cannot read this file as an image.", "bad"));
    }
  }

  acceptFile(zone, file, take);
  [file, most, inverted].forEach((input) => input.addEventListener("change", take));

  function read() {
    if (!pixels) return list.read();
    const isWhole = !spec.datatype.startsWith("FP");
    const data = pixels.data.map((value) => (isWhole ? Math.round(value) : value));
    return { shape: imageShape(spec, layout, pixels), json: JSON.stringify(data) };
  }

  return { element, read };
}

/** The shape of an image: sizes that the model leaves open are those of the image. */
function imageShape({ shape }, { first }, { width, height }) {
  const sizes = [...shape];
  const [row, column] = first ? [-2, -1] : [-3, -2];
  if (sizes.length >= 3) {
    sizes[sizes.length + row] = height;
    sizes[sizes.length + column] = width;
  }
  return sizes.map((size) => Math.max(size, 1));
}

/** The shape for so many elements: the first open dimension takes them all. */
function fit({ name, shape }, length) {
  const rest = shape.reduce((product, size) => product * Math.max(size, 1), 1);
  const open = shape.findIndex((size) => size < 0);
  if (length % rest !== 0 || (open < 0 && length !== rest)) {
    throw new Error(`${name} needs ${open < 0 ? rest : `a multiple of ${rest}`} values, not ${length}`);
  }
  return shape.map((size, index) => (index === open ? length / rest : Math.max(size, 1)));
}

/** Checks a number without reading it, so that no digit is lost. */
function number(text, where) {
  const word = text.trim().replace(/^\+/, "");
  if (word === "true" || word === "false" || /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(word)) return word;
  if (/^-?\.?\d/.test(word) && Number.isFinite(Number(word))) return String(Number(word));
  throw new Error(word ? `${where}: '${word}' is not a number` : `${where} has no value`);
}
