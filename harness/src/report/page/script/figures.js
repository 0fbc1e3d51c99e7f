// Numbers as people read them, written as the harness writes them in a terminal; on an axis without zeros that say nothing.

const grouped = value => value.toLocaleString("en-US", {maximumFractionDigits: 0});

const threeDigits = value => value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0);

const withoutZeros = text => text.includes(".") ? text.replace(/\.?0+$/, "") : text;

function duration(ns) {
  const units = [["ns", 1], ["µs", 1e3], ["ms", 1e6], ["s", 1e9]];
  const [unit, scale] = units.find(([, scale]) => ns / scale < 999.5) ?? units[3];
  return `${withoutZeros(threeDigits(ns / scale))} ${unit}`;
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  while (power < units.length - 1 && count >= 1024 ** (power + 1)) power += 1;
  return `${withoutZeros((count / 1024 ** power).toFixed(power ? 1 : 0))} ${units[power]}`;
}

function number(value) {
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return grouped(value);
  return String(Number(value.toPrecision(3)));
}

// 1 is 90 %, 2 is 99 %, 5 is 99.999 %.
function nines(count) {
  return count < 3 ? `${[0, 90, 99][count]} %` : `99.${"9".repeat(count - 2)} %`;
}

const written = {
  count: number,
  per_second: number,
  nanoseconds: duration,
  bytes,
  quantile: share => `${withoutZeros((share * 100).toFixed(1))} %`,
  time: ms => d3.utcFormat("%Y-%m-%d %H:%M")(ms),
};
