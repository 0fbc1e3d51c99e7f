// From the values of a chart to an axis: where a value lies, from where to where, what stands beside it.

const FEW = 12;

// A scale that the values allow; the others are not offered.
function scalesFor(axis, values) {
  if (axis.scale === "time") return ["time"];
  const scales = axis.scale === "nines" ? ["nines", "linear"] : ["linear"];
  if (axis.scale !== "nines" && values.every(value => value > 0)) scales.push("log");
  return scales;
}

// `values`: all that must be seen. `measured`: those along which was measured, for ticks. `room`: in pixels.
function axisFor(axis, scale, values, measured, room) {
  if (scale === "nines") return ninesAxis(values);
  if (scale === "time") return timeAxis(values, room);
  const made = scale === "log" ? logAxis(axis, values, measured, room) : linearAxis(axis, values, room);
  return {at: value => value, write: written[axis.unit], ...made};
}

function linearAxis(axis, values, room) {
  let [low, high] = d3.extent(values);
  if (low >= 0) low = 0;
  if (high <= low) high = low + 1;
  const step = roundStep(axis.unit, (high - low) / Math.max(2, Math.min(7, room / 50)));
  if (axis.unit === "quantile") high = Math.max(high, 1);
  low = Math.floor(low / step) * step;
  high = axis.unit === "quantile" ? high : Math.ceil(high / step - 1e-9) * step;
  return {type: "linear", domain: [low, high], ticks: d3.range(0, Math.round((high - low) / step) + 1).map(i => low + i * step)};
}

// 1, 2 or 5 times a power of ten; of bytes, of a binary unit.
function roundStep(unit, least) {
  const base = unit === "bytes" && least >= 1 ? 1024 ** Math.floor(Math.log2(least) / 10) : 1;
  const power = 10 ** Math.floor(Math.log10(least / base));
  const digit = [1, 2, 5, 10].find(digit => digit * power * base >= least * (1 - 1e-9));
  if (unit === "bytes" && digit * power >= 1000) return base * 1024;
  return digit * power * base;
}

function logAxis(axis, values, measured, room) {
  let [low, high] = d3.extent(values.filter(value => value > 0));
  if (measured.length && measured.length <= FEW) {
    if (high <= low) [low, high] = [low / 2, high * 2];
    return {type: "log", domain: [low, high], ticks: measured};
  }
  const all = axis.unit === "bytes" ? powersOfTwo(1) : rounded(low, high, high / low < 10 ? FINE[0] : [1, 2, 5]);
  low = all.findLast(digit => digit <= low) ?? low;
  high = all.find(digit => digit >= high) ?? high;
  if (high <= low) [low, high] = [low / 2, high * 2];
  const choices = axis.unit === "bytes" ? [1, 2, 3, 5, 10].map(powersOfTwo)
    : [...FINE.map(digits => rounded(low, high, digits)), rounded(low, high, [1]).filter((_, index) => index % 3 === 0)];
  const inside = choices.map(ticks => ticks.filter(tick => tick >= low && tick <= high)).filter(ticks => ticks.length > 1);
  const most = Math.max(2, room / 30);
  return {type: "log", domain: [low, high], ticks: inside.find(ticks => ticks.length <= most) ?? inside.at(-1) ?? [low, high]};
}

// What the ticks of a decade may be, from many to one.
const FINE = [[1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 5], [1, 2, 5], [1, 3], [1]];

const powersOfTwo = step => d3.range(0, 60, step).map(power => 2 ** power);

const rounded = (low, high, digits) =>
  d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1).flatMap(power => digits.map(digit => Number(`${digit}e${power}`)));

// Each nine takes the same room. All of the samples (1) lie one nine beyond what is known of less.
function ninesAxis(values) {
  const known = values.filter(share => share < 1).map(share => -Math.log10(1 - share));
  const end = Math.max(1, ...known);
  const at = share => share < 1 ? -Math.log10(1 - share) : end;
  return {type: "linear", domain: [0, end], ticks: d3.range(0, Math.floor(end + 1e-6) + 1), at, write: nines};
}

function timeAxis(values, room) {
  let [low, high] = d3.extent(values);
  if (high - low < 1000) [low, high] = [low - 432e5, high + 432e5];
  const scale = d3.scaleUtc([low, high], [0, 1]);
  const ticks = scale.ticks(Math.max(2, Math.min(8, room / 100)));
  const days = ticks.every(tick => tick % 864e5 === 0);
  const write = ms => d3.utcFormat(days ? "%Y-%m-%d" : "%m-%d %H:%M")(ms);
  const pad = (high - low) * 0.02;
  return {type: "linear", domain: [low - pad, high + pad], ticks: ticks.map(Number), at: value => value, write};
}

// Where in `room` pixels a value lies that `at` has placed.
function pixel({type, domain: [low, high]}, placed, room) {
  const along = type === "log" ? Math.log(placed / low) / Math.log(high / low) : (placed - low) / (high - low);
  return along * room;
}

// Those ticks of a horizontal axis whose texts touch neither each other nor the edge, `beyond` the axis; first and last first.
function apart(axis, room, beyond) {
  const taken = [];
  const [first, ...between] = axis.ticks, last = between.pop();
  const kept = [first, last, ...between].filter(tick => {
    if (tick === undefined) return false;
    const half = textWidth(axis.write(tick)) / 2, middle = pixel(axis, tick, room);
    if (middle + half > room + beyond) return false;
    if (taken.some(([from, to]) => middle - half < to + 8 && middle + half > from - 8)) return false;
    return taken.push([middle - half, middle + half]);
  });
  return kept.sort((a, b) => a - b);
}

const pen = document.createElement("canvas").getContext("2d");

function textWidth(text) {
  pen.font = FONT;
  return pen.measureText(text).width;
}
