// One chart as SVG. Nothing here knows of the page around it: what is saved is drawn by the same lines.

const FONT = "12px system-ui, sans-serif";
const LINE = 15;
const CLUTTERED = 24;
// More dates than these are too close for backends to stand side by side.
const FEW_DATES = 20;
// Between the axes and what lies at their ends, so that no point covers a tick's text.
const INSET = 12;

const drawn = point => point.y !== null;
const joined = point => point.y !== null && (point.state === "valid" || point.state === "suspect");

// `view`: {width, height, off: backends that are not shown, x, y: scales, colour: of a series, ink, ground, labels: whether
// names may stand at the ends of lines}. Gives null where there is nothing to draw, otherwise {svg, unnamed: whether lines
// are without names, untold: marks whose labels had no room}.
function draw(chart, view) {
  const series = chart.series.filter(one => !view.off.has(one.backend));
  const points = series.flatMap(one => one.points.filter(drawn).map(point => ({...point, series: one})));
  if (points.length === 0) return null;
  const marks = series.flatMap(one => one.marks.map(mark => ({...mark, series: one})));

  const bottom = 42, height = view.height;
  const names = view.labels ? series.filter(one => one.points.some(joined)) : [];
  const ends = names.map(one => shortened(one.backend));
  const right = names.length ? 46 + d3.max(ends, textWidth) : 26;
  const ySeen = points.flatMap(point => [point.y, ...(point.interval ?? [])]).filter(Number.isFinite);
  const yAxis = axisFor(chart.y, view.y, onScale(ySeen, view.y), [], height - bottom - 40);
  yAxis.ticks = yAxis.ticks.filter(tick => tick >= yAxis.domain[0] && tick <= yAxis.domain[1]);
  const left = 14 + d3.max(yAxis.ticks, tick => textWidth(yAxis.write(tick)));
  const xSeen = [...series.flatMap(one => one.points.map(point => point.x)),
    ...marks.flatMap(mark => [mark.x, ...(mark.interval ?? [])])].filter(Number.isFinite);
  const measured = [...new Set(series.flatMap(one => one.points.map(point => point.x)))].sort((a, b) => a - b);
  const width = view.width - left - right - 2 * INSET;
  const xAxis = axisFor(chart.x, view.x, onScale(xSeen, view.x), view.x === "log" ? measured : [], width);
  xAxis.ticks = apart(xAxis, width, INSET + right);
  const told = rowsFor(marks, mark => pixel(xAxis, xAxis.at(mark.x), width), width);
  const top = 30 + LINE * told.rows;

  const [low, high] = xAxis.domain;
  const x = point => Math.min(high, Math.max(low, xAxis.at(point.x)));
  const y = value => Math.min(yAxis.domain[1], Math.max(yAxis.domain[0], value));
  const dense = d3.max(series, one => one.points.length) > CLUTTERED;
  const shift = one => shiftOf(chart, one, measured);
  const svg = Plot.plot({
    width: view.width, height, marginTop: top, marginBottom: bottom, marginLeft: left, marginRight: right,
    ariaLabel: `${chart.title}, ${chart.cells}`,
    style: {font: FONT, color: view.ink, background: view.ground, overflow: "visible"},
    x: {type: xAxis.type, domain: xAxis.domain, inset: INSET},
    y: {type: yAxis.type, domain: yAxis.domain},
    marks: [
      Plot.gridY(yAxis.ticks, {strokeOpacity: 0.13}),
      Plot.axisY(yAxis.ticks, {text: yAxis.write, tickSize: 4, label: null, fontSize: 12}),
      Plot.axisX(xAxis.ticks, {text: xAxis.write, tickSize: 4, label: null, fontSize: 12}),
      Plot.text([named(chart.y)], {frameAnchor: "top-left", dx: -left + 4, dy: 8 - top, fontWeight: 600, className: "axis-label"}),
      Plot.text([named(chart.x)], {frameAnchor: "bottom-right", textAnchor: "end", lineAnchor: "bottom", dx: 0, dy: bottom - 6,
        fontWeight: 600, className: "axis-label"}),
      ...marks.flatMap(mark => markOf(mark, xAxis, Math.min(0.12, 0.3 / marks.length), view)),
      ...series.flatMap(one => seriesOf(one, {x, y, dense, shift: shift(one)}, view)),
      ...series.flatMap(one => crossOf(one, {x, y, shift: shift(one)}, view)),
      labelsOf(told.placed, view),
      endsOf(names, ends, point => [x(point), y(point.y)], {height, top, bottom, right}, view),
      Plot.tip(points, Plot.pointer({
        x, y: point => y(point.y), title: point => [point.series.backend, ...point.said].join("\n"),
        // Half of the chart's width at most, so that there is room for it on one side of any point.
        maxRadius: 40, lineWidth: Math.max(8, Math.min(32, (view.width / 2 - 36) / 12)), lineHeight: 1.2, fontSize: 12, fill: view.ground, className: "tip",
      })),
    ],
  });
  const unnamed = !view.labels || !endsRoom(names, {height, top, bottom});
  return {svg, unnamed, untold: told.left, at: point => [x(point), y(point.y)]};
}

const onScale = (values, scale) => scale === "log" ? values.filter(value => value > 0) : values;

const named = axis => axis.unit === "per_second" && !/second|\/s\b/.test(axis.label) ? `${axis.label}, per second` : axis.label;

const shortened = text => text.length > 24 ? `${text.slice(0, 23)}…` : text;

// Backends that were measured at the same few places stand side by side there, so that intervals do not hide each other.
function shiftOf(chart, one, measured) {
  const places = chart.x.unit === "time" ? d3.max(chart.series, one => one.points.length) : measured.length;
  if (chart.x.unit === "quantile" || places > (chart.x.unit === "time" ? FEW_DATES : FEW)) return 0;
  const step = Math.min(3, 18 / chart.series.length);
  return (chart.series.indexOf(one) - (chart.series.length - 1) / 2) * step;
}

const shape = (look, size) => d3.symbol(d3[`symbol${look.symbol[0].toUpperCase()}${look.symbol.slice(1)}`], size)();

function seriesOf(one, {x, y, dense, shift}, view) {
  const stroke = view.colour(one), {symbol, dash} = one.look;
  const common = {x, dx: shift, stroke};
  const dots = (state, more) => {
    const points = one.points.filter(point => drawn(point) && point.state === state);
    if (points.length === 0) return [];
    const r = !dense || state === "invalid" ? 4 : state === "valid" ? 1.6 : 2.4;
    return [Plot.dot(points, {...common, y: point => y(point.y), symbol, r, strokeWidth: 1.5, fill: view.ground,
      className: `point ${state}`, ariaLabel: point => [one.backend, ...point.said].join(", "), ...more})];
  };
  const sure = one.points.filter(point => drawn(point) && point.interval?.every(Number.isFinite));
  return [
    Plot.line(one.points, {...common, y: point => joined(point) ? y(point.y) : NaN, strokeWidth: 1.75,
      strokeDasharray: dash.length ? dash.join(" ") : undefined, className: "line", ariaLabel: () => one.backend}),
    Plot.ruleX(sure, {...common, y1: point => y(point.interval[0]), y2: point => y(point.interval[1]),
      strokeWidth: 1.5, strokeOpacity: point => point.state === "invalid" ? 0.35 : 0.8, className: "interval"}),
    ...dots("valid", {fill: stroke}),
    ...dots("suspect", {}),
    ...dots("invalid", {strokeOpacity: 0.7}),
  ];
}

// Over all else: what lies on a value that may not be believed must not hide that.
function crossOf(one, {x, y, shift}, view) {
  const points = one.points.filter(point => drawn(point) && point.state === "invalid");
  if (points.length === 0) return [];
  return [Plot.dot(points, {x, dx: shift, y: point => y(point.y), symbol: "times", r: 6, strokeWidth: 1.75, stroke: view.ink,
    className: "crossed", ariaHidden: true})];
}

function markOf(mark, xAxis, fillOpacity, view) {
  const stroke = view.colour(mark.series), line = {x: xAxis.at(mark.x), stroke, strokeWidth: 1.5, strokeDasharray: "4 3", className: "mark"};
  const band = mark.interval?.every(Number.isFinite)
    ? [Plot.rect([mark], {x1: xAxis.at(mark.interval[0]), x2: xAxis.at(mark.interval[1]), fill: stroke, fillOpacity, className: "band"})]
    : [];
  return [...band, Plot.ruleX([mark], line)];
}

// Labels of marks in rows above the frame, so that none touches another; beyond five rows they are left to the list below.
function rowsFor(marks, at, width) {
  const ends = [], placed = [], left = [];
  for (const mark of marks.toSorted((a, b) => a.x - b.x)) {
    const text = shortened(mark.series.backend) + ": " + mark.label, room = textWidth(text) + 10;
    const from = Math.max(0, Math.min(at(mark) - room / 2, width - room));
    let row = ends.findIndex(end => end <= from);
    if (row < 0) row = ends.length;
    if (row >= 5 || room > width) { left.push(mark); continue; }
    ends[row] = from + room;
    placed.push({...mark, text, from, row});
  }
  return {placed, left, rows: ends.length};
}

function labelsOf(placed, view) {
  return (_index, _scales, _values, box) => {
    const group = d3.create("svg:g").attr("class", "mark-labels").attr("fill", view.ink).attr("text-anchor", "start");
    for (const mark of placed) {
      const y = box.marginTop - 6 - mark.row * LINE;
      group.append("text").attr("x", box.marginLeft + INSET + mark.from).attr("y", y).text(mark.text);
    }
    return group.node();
  };
}

const endsRoom = (names, {height, top, bottom}) => names.length * LINE <= height - top - bottom + LINE;

// The name of each line at its end. Where ends are close, names are moved apart and a thin line says whose they are.
function endsOf(names, texts, at, {height, top, bottom, right}, view) {
  return (_index, scales, _values, box) => {
    const group = d3.create("svg:g").attr("class", "ends").attr("fill", view.ink).attr("text-anchor", "start");
    if (!endsRoom(names, {height, top, bottom})) return group.node();
    const ends = names.map((one, index) => {
      const [x, y] = at(one.points.findLast(joined));
      return {one, text: texts[index], x: scales.x(x), from: scales.y(y)};
    });
    const x = box.width - right;
    for (const {one, text, from, x: end, y} of movedApart(ends, top, height - bottom)) {
      const colour = view.colour(one);
      // From a line that ends early it would cross the chart and look like one itself.
      if (end > x - 2 * INSET - 12) {
        group.append("path").attr("class", "leader").attr("d", `M${end + 7},${from}L${Math.max(end + 7, x + 4)},${from}L${x + 26},${y}`)
          .attr("fill", "none").attr("stroke", colour).attr("stroke-opacity", 0.5);
      }
      group.append("path").attr("d", shape(one.look, 30)).attr("transform", `translate(${x + 32},${y})`).attr("fill", colour);
      group.append("text").attr("x", x + 40).attr("y", y).attr("dy", "0.32em").text(text);
    }
    return group.node();
  };
}

// Keeps the order and moves each no further than it must: those that touch become a block around their middle.
function movedApart(ends, top, bottom) {
  const blocks = [];
  for (const end of ends.toSorted((a, b) => a.from - b.from)) {
    let block = {ends: [end], middle: end.from};
    for (;;) {
      const half = block.ends.length * LINE / 2;
      block.middle = Math.max(top - LINE / 2 + half, Math.min(block.middle, bottom + LINE / 2 - half));
      const above = blocks.at(-1);
      if (!above || above.middle + above.ends.length * LINE / 2 <= block.middle - half) break;
      blocks.pop();
      const all = [...above.ends, ...block.ends];
      block = {ends: all, middle: d3.mean(all, one => one.from)};
    }
    blocks.push(block);
  }
  return blocks.flatMap(({ends, middle}) =>
    ends.map((end, index) => ({...end, y: middle + (index - (ends.length - 1) / 2) * LINE})));
}
