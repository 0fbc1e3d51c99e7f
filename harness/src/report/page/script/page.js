// What the reader has chosen, kept behind the `#` of the address so that a view can be sent, and all that follows from it.

const {charts, backends} = JSON.parse(document.getElementById("contents").textContent);

const SIDES = ["x", "y"];
const THEMES = ["system", "light", "dark"];
const kinds = d3.group(charts, chart => chart.kind);
const place = new Map(backends.map(({name}, index) => [name, index]));
const system = matchMedia("(prefers-color-scheme: dark)");

// Only what can be: the address may have been written by anybody.
function read(fragment) {
  const said = new URLSearchParams(fragment);
  const state = {off: new Set(said.getAll("off").filter(name => place.has(name))), x: {}, y: {}, show: {}, theme: "system"};
  if (THEMES.includes(said.get("theme"))) state.theme = said.get("theme");
  for (const [kind, of] of kinds) {
    const shown = said.get(`show.${kind}`);
    if (of.some(({id}) => id === shown)) state.show[kind] = shown;
    for (const side of SIDES) {
      const scale = said.get(`${side}.${kind}`);
      if (Object.hasOwn(SCALES, scale ?? "")) state[side][kind] = scale;
    }
  }
  return state;
}

function write(state) {
  const said = new URLSearchParams();
  for (const name of state.off) said.append("off", name);
  for (const key of [...SIDES, "show"])
    for (const [kind, value] of Object.entries(state[key])) said.append(`${key}.${kind}`, value);
  if (state.theme !== "system") said.append("theme", state.theme);
  history.replaceState(null, "", `#${said}`);
}

const view = {
  state: read(location.hash.slice(1)),
  colour: one => place.has(one.backend) ? `var(--b${place.get(one.backend)})` : one.look.light,
  dark: () => view.state.theme === "dark" || (view.state.theme === "system" && system.matches),
  change(key, kind, value) {
    view.state[key][kind] = value;
    write(view.state);
    figures.find(figure => figure.kind === kind).update();
  },
};

const figures = [...kinds].map(([kind, of]) => new Figure(kind, of, view));
const tables = document.querySelectorAll("#tables table");

const switches = backends.map(({name, look, summary}) => {
  const box = make("input", {type: "checkbox", onchange: () => {
    if (box.checked) view.state.off.delete(name); else view.state.off.add(name);
    write(view.state);
    showAll();
  }});
  return {name, box, label: make("label", {title: summary}, box, sign(look, view.colour({backend: name, look})), name)};
});

function all(on) {
  view.state.off = new Set(on ? [] : backends.map(({name}) => name));
  write(view.state);
  showAll();
}

const theme = make("select", {id: "theme", onchange: () => {
  view.state.theme = theme.value;
  write(view.state);
  showAll();
}}, ...THEMES.map(name => make("option", {value: name}, name)));

function showAll() {
  theme.value = view.state.theme;
  if (view.state.theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = view.state.theme;
  for (const {name, box} of switches) box.checked = !view.state.off.has(name);
  for (const table of tables) filterRows(table, view.state.off);
  for (const figure of figures) figure.update();
}

document.getElementById("head").append(make("label", {class: "theme"}, "theme ", theme));
if (figures.length) {
  document.getElementById("charts").append(
    make("div", {id: "backends", role: "group", "aria-label": "backends"}, ...switches.map(({label}) => label),
      make("button", {type: "button", onclick: () => all(true)}, "all"),
      make("button", {type: "button", onclick: () => all(false)}, "none")),
    ...figures.map(({element}) => element));
}
tables.forEach(sortable);
document.querySelectorAll(".command").forEach(copyable);

const inView = new IntersectionObserver(entries => {
  for (const {target, isIntersecting} of entries) {
    const figure = figures.find(({element}) => element === target);
    figure.near = isIntersecting;
    if (isIntersecting) figure.draw();
  }
}, {rootMargin: "300px"});
const resized = new ResizeObserver(entries => {
  for (const {target} of entries) {
    const figure = figures.find(({plot}) => plot === target);
    if (figure.near) figure.draw();
  }
});
for (const {element, plot} of figures) {
  inView.observe(element);
  resized.observe(plot);
}
showAll();
addEventListener("hashchange", () => { view.state = read(location.hash.slice(1)); showAll(); });
// Paper shows all of it.
addEventListener("beforeprint", () => { for (const figure of figures) figure.draw(); });
