// What is drawn: every value, with its interval, and nothing that the data do not say.

import {test} from "node:test";
import assert from "node:assert/strict";
import {existsSync, readFileSync} from "node:fs";
import {drawAll, drawOne, marks, open} from "./open.mjs";
import {agree, contents, first, kindsOf} from "./pages.mjs";

const {PAGES} = process.env;

for (const name of ["small", "many"]) {
  test(`every value of ${name} is drawn, with its interval, and believed no more than it should be`, () => open(name, async page => {
    await drawAll(page);
    const report = contents(name);
    for (const kind of kindsOf(report)) {
      const chart = first(report, kind), drawn = await marks(page, kind);
      agree(drawn, chart);
      assert.equal(drawn.marks, chart.series.flatMap(one => one.marks).length);
      assert.equal(drawn.bands, chart.series.flatMap(one => one.marks).filter(mark => mark.interval).length);
    }
  }));
}

// What the command makes of a results file: of each kind every group of cells is looked at, not only the one that is shown first.
for (const name of ["made", "hostile", "recorded"].filter(name => existsSync(`${PAGES}/${name}.html`)))
  test(`every chart that harness report makes of ${name} has marks, and no other than its file says`, () => open(name, async page => {
    const report = contents(name);
    assert.ok(report.charts.length > 3, `${report.charts.length} charts`);
    for (const chart of report.charts) {
      const figure = page.locator(`#chart-${chart.kind}`);
      if (report.charts.filter(({kind}) => kind === chart.kind).length > 1) {
        await drawOne(figure);
        await figure.locator("select[aria-label='which cells']").selectOption(chart.id);
      }
      await drawOne(figure);
      const drawn = await marks(page, chart.kind);
      agree(drawn, chart);
      assert.ok(drawn.points > 0, `nothing is drawn in ${chart.id}`);
    }
    const text = await page.locator("main").innerText();
    for (const {name} of report.backends) assert.ok(text.includes(name.replaceAll("\n", " ")), name);
    assert.equal(await page.locator("#tables tbody tr").count(), report.tables.flatMap(table => table.rows).length);
  }));

test("a gap and an invalid point are joined to nothing", () => open("small", async page => {
  await drawAll(page);
  const pieces = await page.evaluate(() => [...document.querySelectorAll("#chart-throughput .line")].map(group => {
    const d = group.querySelector("path").getAttribute("d");
    return [group.querySelector("path").getAttribute("aria-label"), (d.match(/M/g) ?? []).length, (d.match(/[ML]/g) ?? []).length];
  }));
  // Five places: nothing at the third of the second, an invalid one at the second of the third; a lone point is closed by Z.
  const of = Object.fromEntries(pieces.map(([name, ...rest]) => [name, rest]));
  assert.deepEqual(of.threads, [1, 5]);
  assert.deepEqual(of.select, [2, 4]);
  assert.deepEqual(of.poll, [2, 4]);
}));

test("backends that were measured at the same time stand side by side", () => open("small", async page => {
  await drawOne(page.locator("#chart-history"));
  const places = await page.evaluate(() => [...document.querySelectorAll("#chart-history .interval line")]
    .map(line => Math.round(10 * line.getBoundingClientRect().left)));
  const report = first(contents("small"), "history");
  const bars = report.series.flatMap(one => one.points).filter(point => point.interval).length;
  assert.equal(places.length, bars);
  assert.equal(new Set(places).size, bars, places.join());
}));

test("a line that ends early is named, and nothing that looks like a line leads there", () => open("small", async page => {
  await drawOne(page.locator("#chart-throughput"));
  const {names, widths} = await page.evaluate(() => {
    const ends = document.querySelector("#chart-throughput .ends");
    return {
      names: [...ends.querySelectorAll("text")].map(text => text.textContent),
      widths: [...ends.querySelectorAll(".leader")].map(path => path.getBBox().width),
    };
  });
  assert.equal(names.length, 6);
  assert.equal(widths.length, 5);
  assert.ok(Math.max(...widths) < 100, widths.join());
}));

test("axes are linear or logarithmic as one likes", () => open("small", async page => {
  await drawAll(page);
  const ticks = kind => page.evaluate(kind =>
    [...document.querySelectorAll(`#chart-${kind} [aria-label='y-axis tick label'] text`)].map(text => text.textContent), kind);
  const chart = page.locator("#chart-throughput");
  const linear = await ticks("throughput");
  assert.equal(linear[0], "0");
  assert.ok(linear.includes("100,000"), linear.join());
  await drawOne(chart);
  await chart.getByLabel("y axis").selectOption("log");
  await drawOne(chart);
  const log = await ticks("throughput");
  assert.ok(!log.includes("0") && log.length >= 3, log.join());
  agree(await marks(page, "throughput"), first(contents("small"), "throughput"));
  await chart.getByLabel("x axis").selectOption("linear");
  await drawOne(chart);
  agree(await marks(page, "throughput"), first(contents("small"), "throughput"));
  assert.deepEqual(await page.locator("#chart-calls").getByLabel("x axis").locator("option").allTextContents(), ["linear", "logarithmic"]);
  assert.equal(await page.locator("#chart-history").getByLabel("x axis").isVisible(), false);
  const nines = await page.evaluate(() =>
    [...document.querySelectorAll("#chart-distribution [aria-label='x-axis tick label'] text")].map(text => text.textContent));
  assert.deepEqual(nines, ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
}));

test("of each kind one group of cells is shown, and any can be", () => open("facets", async page => {
  const report = contents("facets");
  const select = page.locator("#chart-p99 select[aria-label='which cells']");
  await drawOne(page.locator("#chart-p99"));
  assert.equal(await select.locator("option").count(), 30);
  await select.selectOption("p99-17");
  await drawOne(page.locator("#chart-p99"));
  agree(await marks(page, "p99"), report.charts.find(chart => chart.id === "p99-17"));
  assert.match(page.url(), /show\.p99=p99-17/);
}));

test("a page of two hundred charts draws what is looked at and no more", () => open("facets", async page => {
  assert.equal(contents("facets").charts.length, 210);
  const {drawn, opened} = await page.evaluate(() => ({
    drawn: document.querySelectorAll(".plot svg").length,
    opened: performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd,
  }));
  assert.ok(drawn < 7, `${drawn} drawn`);
  assert.ok(opened < 20000, `open after ${opened} ms`);
}));

// The figures of ticks are written as `figures.rs` writes those of texts, but for zeros that say nothing.
test("numbers read as they do elsewhere", () => {
  const script = readFileSync(new URL("../../src/report/page/script/figures.js", import.meta.url), "utf8");
  const {duration, bytes, number, nines} = new Function(`${script}; return {duration, bytes, number, nines};`)();
  assert.deepEqual([0, 870, 999.6, 12340, 1204000, 2e9, 90e9].map(duration),
    ["0 ns", "870 ns", "1 µs", "12.3 µs", "1.2 ms", "2 s", "90 s"]);
  assert.deepEqual([0, 64, 1024, 1536, 5.6 * 1048576].map(bytes), ["0 B", "64 B", "1 KiB", "1.5 KiB", "5.6 MiB"]);
  assert.deepEqual([0, 0.25, 512, 118204.4, 1234567].map(number), ["0", "0.25", "512", "118,204", "1,234,567"]);
  assert.deepEqual([0, 1, 2, 3, 5].map(nines), ["0 %", "90 %", "99 %", "99.9 %", "99.999 %"]);
});
