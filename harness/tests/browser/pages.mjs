// What pages hold, from their data alone.

import assert from "node:assert/strict";
import {readFileSync} from "node:fs";

export const HOSTILE = "<script>alert(1)</script>";
export const contents = name => JSON.parse(readFileSync(`${process.env.PAGES}/${name}.json`, "utf8"));
export const first = (report, kind) => report.charts.find(chart => chart.kind === kind);
export const kindsOf = report => [...new Set(report.charts.map(chart => chart.kind))];
export const rowsOf = report => report.tables.flatMap(table => table.rows);

// What a chart must hold, from the data alone.
function demanded(chart, off = []) {
  const points = chart.series.filter(one => !off.includes(one.backend))
    .flatMap(one => one.points.map(point => ({...point, label: [one.backend, ...point.said].join(", ")})))
    .filter(point => point.y !== null);
  const count = state => points.filter(point => point.state === state).length;
  return {
    points: points.length, valid: count("valid"), suspect: count("suspect"), invalid: count("invalid"), crossed: count("invalid"),
    intervals: points.filter(point => point.interval).length, said: points.map(({label}) => label).sort(),
  };
}

// Asserts that `drawn`, the marks of a chart, are those, without the backends that are switched `off`.
export function agree(drawn, chart, off) {
  const wanted = demanded(chart, off);
  const seen = Object.fromEntries(Object.keys(wanted).map(key => [key, drawn[key]]));
  assert.deepEqual(seen, wanted, chart.id);
}
