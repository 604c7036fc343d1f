// Elements of the page. Every text is set as text, so no name, error or value can become markup.

/**
 * Makes an element. `attributes` are set as they are, except for functions, which become listeners;
 * null, undefined and false are left out. Children are elements or texts.
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);

  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }

  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets the text of an element if it differs, so that a screen reader is not disturbed by nothing. */
export function setText(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

/**
 * Makes the children of `parent` those of `items`, in order. The child of an item that was there
 * before is updated in place, which keeps the focus of the keyboard.
 */
export function keyed(parent, items, keyOf, create, update) {
  const present = new Map([...parent.children].map((child) => [child.dataset.key, child]));

  items.forEach((item, index) => {
    const key = String(keyOf(item));
    let child = present.get(key);
    present.delete(key);

    if (!child) {
      child = create(item);
      child.dataset.key = key;
    }
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
    update(child, item);
  });

  present.forEach((child) => child.remove());
}

/** Makes a message. Errors are announced at once, everything else when the reader is idle. */
export function notice(text, kind = "info") {
  return make("p", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : "status" }, text);
}
