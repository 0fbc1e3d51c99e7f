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
  const digits = axis.unit === "bytes" ? d3.range(0, 50).map(power => 2 ** power) : roundDigits(low, high);
  if (measured.length && measured.length <= FEW) {
    if (high <= low) [low, high] = [low / 2, high * 2];
    return {type: "log", domain: [low, high], ticks: measured};
  }
  low = digits.findLast(digit => digit <= low) ?? low;
  high = digits.find(digit => digit >= high) ?? high;
  if (high <= low) [low, high] = [low / 2, high * 2];
  const inside = digits.filter(digit => digit >= low && digit <= high);
  const most = Math.max(2, room / 30);
  const every = Math.ceil(inside.length / most);
  const decades = inside.filter(digit => Number.isInteger(Math.round(Math.log10(digit) * 1e9) / 1e9));
  const sparse = axis.unit !== "bytes" && every > 1 && decades.length >= 2;
  const ticks = sparse ? decades.filter((_, index) => index % Math.ceil(decades.length / most) === 0)
    : inside.filter((_, index) => index % every === 0);
  return {type: "log", domain: [low, high], ticks};
}

// What a logarithmic axis may end at: coarse where it is long, fine where one decade is all there is.
function roundDigits(low, high) {
  const fine = high / low < 10 ? [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9] : [1, 2, 5];
  const from = Math.floor(Math.log10(low)), to = Math.ceil(Math.log10(high));
  return d3.range(from, to + 1).flatMap(power => fine.map(digit => Number(`${digit}e${power}`)));
}

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
