// Elements of the page: how they are made, and changed only where something is new.

// An HTML element. `text` is written into it and `parent` takes it in; the rest are attributes.
export function make(tag, given = {}) {
  return fill(document.createElement(tag), given);
}

// The same for an element of a drawing.
export function svg(tag, given = {}) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), given);
}

function fill(element, { parent, text, ...attributes }) {
  if (text !== undefined) element.textContent = text;
  set(element, attributes);
  parent?.append(element);
  return element;
}

// Sets those attributes that have another value now.
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  }
}

// Sets the text of an element if it is another one now.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Scrolls, gently where the user has nothing against movement, till an element is in sight.
export function bringIntoSight(element, block) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ block, behavior: calm ? "auto" : "smooth" });
}

export function isDark() {
  const light = document.body.dataset.jpThemeLight;
  if (light) return light === "false";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

// Calls `act` whenever the page may have turned from light to dark or back.
export function onTheme(act, signal) {
  const themed = new MutationObserver(act);
  themed.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", act, { signal });
  signal.addEventListener("abort", () => themed.disconnect());
}

// How many times as large as usual letters and squares are; more than 1 while the lab is projected.
export function enlargement(element) {
  return Number(element.closest("[data-enlarged]")?.dataset.enlarged ?? 1);
}
