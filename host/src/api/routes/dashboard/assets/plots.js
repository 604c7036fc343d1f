// Plots that the server has drawn as SVG.

import { make } from "./dom.js";

// The only markup that the page reads as such. It has numbers and no text of a model.
const policy = window.trustedTypes?.createPolicy("plots", { createHTML: (svg) => svg }) ?? { createHTML: (svg) => svg };

/** Makes a figure with a title and a legend: pairs of a class, which is the name too, and a meaning. */
export function plotFigure(title, legend) {
  const plot = make("div", { class: "plot" });
  const keys = legend.map(([name, meaning]) => make("li", {}, make("span", { class: `key ${name}` }), `${name === meaning ? name : `${name}: ${meaning}`}`));
  const element = make("figure", {}, make("figcaption", {}, title), plot, make("ul", { class: "legend" }, ...keys));

  /** Replaces the plot. `summary` says in words what it shows. */
  function draw(svg, summary) {
    const image = new DOMParser().parseFromString(policy.createHTML(svg), "image/svg+xml").documentElement;
    image.setAttribute("role", "img");
    image.setAttribute("aria-label", `${title}. ${summary}. The numbers follow as a table.`);
    plot.replaceChildren(document.importNode(image, true));
  }

  return { element, draw, width: () => plot.clientWidth || 640 };
}
