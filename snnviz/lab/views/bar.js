// The bar above the figures. It hides and shows cards by attributes of the box that all of them
// are in (cards.css reads them), so that a tab opens at once; the kernel only draws what is seen.

const MODES = [
  ["tabs", "Tabs", "One figure at a time"],
  ["side by side", "Side by side", "All figures at once"],
];

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function isDark() {
  const light = document.body.dataset.jpThemeLight;
  return light ? light === "false" : matchMedia("(prefers-color-scheme: dark)").matches;
}

// Left and right, Home and End go from one to the next.
function withArrows(box, role) {
  box.addEventListener("keydown", (event) => {
    const all = [...box.querySelectorAll(role)];
    const at = all.indexOf(document.activeElement);
    const to = {
      ArrowRight: (at + 1) % all.length,
      ArrowLeft: (at + all.length - 1) % all.length,
      Home: 0,
      End: all.length - 1,
    }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    all[to].focus();
    all[to].click();
  });
}

function render({ model, el }) {
  const modes = element("div", { class: "snnviz-modes", role: "group", "aria-label": "layout" });
  const tabs = element("div", { class: "snnviz-tabs", role: "tablist", "aria-label": "figures" });
  const runs = element("div", { class: "snnviz-runs", role: "group", "aria-label": "runs" });
  const bar = element("div", { class: "snnviz-bar-row" }, tabs, runs, modes);
  el.replaceChildren(bar);
  withArrows(tabs, "[role=tab]");

  const set = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const inTabs = () => {
    const mode = model.get("mode");
    return mode === "auto" ? !model.get("wide") : mode === "tabs";
  };

  const buttons = MODES.map(([mode, text, title]) => {
    const button = element("button", { type: "button", title }, text);
    button.onclick = () => set("mode", mode);
    modes.append(button);
    return [mode, button];
  });

  const tabButtons = new Map();
  function drawTabs() {
    tabButtons.clear();
    tabs.replaceChildren();
    for (const [name, title] of model.get("cards")) {
      const button = element("button", { type: "button", role: "tab" }, title);
      button.onclick = () => set("tab", name);
      tabs.append(button);
      tabButtons.set(name, button);
    }
  }

  let drawn = "";
  function drawRuns() {
    const all = model.get("runs");
    if (drawn !== JSON.stringify(all)) {
      drawn = JSON.stringify(all);
      runs.replaceChildren();
      for (const [name, colour] of all) {
        const swatch = element("span", { class: "snnviz-swatch", "aria-hidden": "true" });
        swatch.style.setProperty("--snnviz-run", colour);
        const text = element("span", { class: "snnviz-run-name" }, name);
        const button = element("button", { type: "button" }, swatch, text);
        button.dataset.run = name;
        button.onclick = () => {
          const hidden = model.get("hidden");
          const rest = hidden.filter((other) => other !== name);
          set("hidden", rest.length < hidden.length ? rest : [...hidden, name]);
        };
        runs.append(button);
      }
    }
    runs.hidden = all.length < 2;
    for (const button of runs.children) {
      const shown = !model.get("hidden").includes(button.dataset.run);
      button.setAttribute("aria-pressed", shown);
      button.title = `${shown ? "Hide" : "Show"} the run ${button.dataset.run}`;
    }
  }

  // Attributes that the widgets of the cards have no traits for.
  function describe(root, mode) {
    const titles = Object.fromEntries(model.get("cards"));
    const alts = model.get("alts");
    for (const card of root.querySelectorAll(".snnviz-card")) {
      const name = [...card.classList].find((c) => c.startsWith("snnviz-card-"))?.slice(12);
      const role = mode === "tabs" ? "tabpanel" : "group";
      if (card.getAttribute("role") !== role) card.setAttribute("role", role);
      if (!card.hasAttribute("aria-label")) card.setAttribute("aria-label", titles[name] ?? name);
      const image = card.querySelector("img");
      if (image && image.alt !== (alts[name] ?? "")) image.alt = alts[name] ?? "";
      for (const button of card.querySelectorAll("button.snnviz-more, .snnviz-formats button")) {
        const state = button.matches(".snnviz-more") ? "aria-expanded" : "aria-pressed";
        const on = String(button.classList.contains("mod-active"));
        if (button.getAttribute(state) !== on) button.setAttribute(state, on);
      }
    }
  }

  let root = null;
  const cardsChanged = new MutationObserver(() => apply());
  function apply() {
    const mode = inTabs() ? "tabs" : "side";
    const tab = model.get("tab");
    for (const [name, button] of buttons) {
      button.setAttribute("aria-pressed", (name === "tabs") === (mode === "tabs"));
    }
    tabs.hidden = mode !== "tabs";
    for (const [name, button] of tabButtons) {
      button.setAttribute("aria-selected", name === tab);
      button.tabIndex = name === tab ? 0 : -1;
    }
    const found = el.closest(".snnviz-views");
    if (found !== root) {
      root = found;
      cardsChanged.disconnect();
      const watched = { subtree: true, childList: true, attributeFilter: ["class"] };
      if (root) cardsChanged.observe(root, { ...watched, attributes: true });
    }
    if (!root) return;
    if (root.dataset.mode !== mode) root.dataset.mode = mode;
    const shown = mode === "tabs" ? tab : "";
    if (root.dataset.tab !== shown) root.dataset.tab = shown;
    describe(root, mode);
  }

  const resized = new ResizeObserver(() => {
    const lab = el.closest(".snnviz-lab") ?? el;
    if (lab.clientWidth > 0) {
      const wide = lab.clientWidth >= model.get("wide_from");
      const roomy = el.clientWidth >= model.get("roomy_from");
      if (wide !== model.get("wide")) set("wide", wide);
      if (roomy !== model.get("roomy")) set("roomy", roomy);
    }
    apply();
  });
  resized.observe(el);

  const follow = () => {
    if (isDark() !== model.get("dark")) set("dark", isDark());
  };
  const themed = new MutationObserver(follow);
  themed.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", follow);

  const redraw = () => {
    drawRuns();
    apply();
  };
  const anew = () => {
    drawTabs();
    redraw();
  };
  model.on("change:cards", anew);
  for (const name of ["mode", "tab", "wide", "runs", "hidden", "alts"]) {
    model.on(`change:${name}`, redraw);
  }
  follow();
  anew();
  requestAnimationFrame(() => { // by then it is in the page
    apply();
    if (!model.get("there")) set("there", true);
  });

  return () => {
    model.off("change:cards", anew);
    for (const name of ["mode", "tab", "wide", "runs", "hidden", "alts"]) {
      model.off(`change:${name}`, redraw);
    }
    resized.disconnect();
    themed.disconnect();
    cardsChanged.disconnect();
    scheme.removeEventListener("change", follow);
  };
}

export default { render };
