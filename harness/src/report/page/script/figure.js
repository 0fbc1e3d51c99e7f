// The charts of one kind: which of them is shown, how its axes are spread, and what stands below it.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// The sign of a backend as the charts draw it, for a legend.
function sign(look, colour) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  for (const [name, value] of [["width", 26], ["height", 14], ["viewBox", "-13 -7 26 14"], ["aria-hidden", "true"]])
    svg.setAttribute(name, value);
  const line = document.createElementNS(ns, "path"), dot = document.createElementNS(ns, "path");
  line.setAttribute("d", "M-13,0H13");
  line.setAttribute("stroke", colour);
  line.setAttribute("stroke-width", 1.75);
  if (look.dash.length) line.setAttribute("stroke-dasharray", look.dash.join(" "));
  dot.setAttribute("d", shape(look, 46));
  dot.setAttribute("fill", colour);
  svg.append(line, dot);
  return svg;
}

const SCALES = {linear: "linear", log: "logarithmic", nines: "by nines", time: "time"};

class Figure {
  constructor(kind, charts, view) {
    Object.assign(this, {kind, charts, view, near: false});
    this.title = make("h3", {id: `title-${kind}`});
    this.facet = make("select", {"aria-label": "which cells", onchange: () => view.change("show", kind, this.facet.value)});
    for (const chart of charts) this.facet.append(make("option", {value: chart.id}, chart.cells || chart.title));
    this.facet.hidden = charts.length < 2;
    this.scales = {x: this.scaleChoice("x"), y: this.scaleChoice("y")};
    this.save = make("button", {type: "button", onclick: () => this.saved()}, "save as SVG");
    this.cells = make("p", {class: "cells"});
    this.plot = make("div", {class: "plot", tabindex: 0, role: "group", onkeydown: event => this.key(event)});
    this.said = make("p", {class: "heard", "aria-live": "polite"});
    this.legend = make("ul", {class: "legend"});
    this.told = make("ul", {class: "told"});
    this.notes = make("ul", {class: "notes"});
    this.element = make("figure", {class: "chart", id: `chart-${kind}`, "aria-labelledby": `title-${kind}`},
      this.title, this.facet, this.cells, this.plot, this.said, this.legend, this.told, this.notes,
      make("div", {class: "tools"}, this.scales.x.label, this.scales.y.label, this.save));
  }

  scaleChoice(side) {
    const select = make("select", {onchange: () => this.view.change(side, this.kind, select.value)});
    return {select, label: make("label", {}, `${side} axis `, select)};
  }

  get chart() {
    return this.charts.find(chart => chart.id === this.view.state.show[this.kind]) ?? this.charts[0];
  }

  // Draws when it is looked at; a report may hold hundreds.
  update() {
    this.stale = true;
    this.plot.setAttribute("aria-busy", "true");
    const {chart} = this;
    this.title.textContent = chart.title;
    this.facet.value = chart.id;
    this.cells.textContent = chart.cells;
    this.cells.classList.toggle("chosen", this.charts.length > 1);
    this.plot.setAttribute("aria-label", `${chart.title}. Arrow keys go from point to point.`);
    this.notes.replaceChildren(...chart.notes.map(note => make("li", {}, note)));
    if (this.near) this.draw();
  }

  scale(side, chart) {
    const values = chart.series.flatMap(one => one.points.flatMap(point => side === "x" ? point.x : point.y ?? []));
    const possible = scalesFor(chart[side], values);
    const wanted = this.view.state[side][this.kind];
    const scale = [wanted, chart[side].scale, "linear"].find(one => possible.includes(one)) ?? possible[0];
    return {possible, scale};
  }

  draw() {
    if (!this.stale && this.width === this.plot.clientWidth) return;
    this.stale = false;
    this.plot.removeAttribute("aria-busy");
    this.width = this.plot.clientWidth;
    const {chart, view} = this;
    for (const side of ["x", "y"]) {
      const {possible, scale} = this.scale(side, chart), {select, label} = this.scales[side];
      select.replaceChildren(...possible.map(one => make("option", {value: one}, SCALES[one])));
      select.value = scale;
      label.hidden = possible.length < 2;
    }
    const wide = this.width >= 560;
    const made = draw(chart, {
      width: this.width, height: wide ? 400 : 320, off: view.state.off, labels: wide, ink: "currentColor", ground: "var(--ground)",
      x: this.scales.x.select.value, y: this.scales.y.select.value, colour: view.colour,
    });
    this.made = made;
    this.place = null;
    this.said.textContent = "";
    const off = chart.series.length > 0 && chart.series.every(one => view.state.off.has(one.backend));
    this.plot.replaceChildren(made ? made.svg : make("p", {class: "nothing"},
      off ? "Every backend of this chart is switched off." : "Nothing to draw: no value was measured."));
    this.save.hidden = !made;
    const shown = made ? chart.series.filter(one => !view.state.off.has(one.backend)) : [];
    this.legend.replaceChildren(...(made?.unnamed ? shown : []).map(one => make("li", {}, sign(one.look, view.colour(one)), one.backend)));
    this.told.replaceChildren(...(made?.untold ?? []).map(mark => make("li", {}, `${mark.series.backend}: ${mark.label}`)));
  }

  // Left and right go along a backend, up and down from one to the next; what is pointed at is also said.
  key(event) {
    const moves = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};
    if (!this.made) return;
    const {svg} = this.made;
    if (event.key === "Escape") {
      this.place = null;
      return this.point("pointerleave", -1, -1);
    }
    if (!moves[event.key]) return;
    event.preventDefault();
    const lines = this.chart.series.filter(one => !this.view.state.off.has(one.backend))
      .map(one => ({one, points: one.points.filter(drawn)})).filter(({points}) => points.length);
    const [down, right] = this.place ? moves[event.key] : [0, 0];
    const [line, point] = this.place ?? [0, 0];
    const row = Math.min(lines.length - 1, Math.max(0, line + down));
    const {one, points} = lines[row];
    const column = Math.min(points.length - 1, Math.max(0, point + right));
    this.place = [row, column];
    const [x, y] = this.made.at(points[column]);
    this.point("pointermove", svg.scale("x").apply(x), svg.scale("y").apply(y));
    this.said.textContent = [one.backend, ...points[column].said].join(", ");
  }

  point(type, x, y) {
    const {svg} = this.made, {left, top} = svg.getBoundingClientRect();
    svg.dispatchEvent(new PointerEvent(type, {pointerType: "mouse", clientX: left + x, clientY: top + y, bubbles: true}));
  }

  // What is shown, at a size for documents, in the colours of the theme.
  saved() {
    const {chart, view} = this, style = getComputedStyle(document.body), dark = view.dark();
    const rows = chart.series.length * LINE + 180;
    const {svg} = draw(chart, {
      width: 900, height: Math.max(440, rows), off: view.state.off, labels: true, ink: style.color, ground: style.backgroundColor,
      x: this.scales.x.select.value, y: this.scales.y.select.value, colour: one => dark ? one.look.dark : one.look.light,
    });
    svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = `${chart.title}, ${chart.cells}`;
    svg.prepend(title);
    const url = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(svg)], {type: "image/svg+xml"}));
    const link = make("a", {href: url, download: `${chart.id}.svg`});
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }
}
