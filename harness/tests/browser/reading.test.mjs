// What a reader does with a page, by mouse and by keyboard, and what comes of it.

import {test} from "node:test";
import assert from "node:assert/strict";
import {drawAll, drawOne, marks, open} from "./open.mjs";
import {HOSTILE, agree, contents, first, kindsOf, rowsOf} from "./pages.mjs";

const box = (page, name) => page.locator("#backends label").filter({hasText: name}).first().locator("input");

test("a backend that is switched off leaves every chart and every table, and nothing else changes", () => open("small", async page => {
  await drawAll(page);
  const report = contents("small");
  await page.evaluate(() => scrollTo(0, 0));
  await box(page, HOSTILE).uncheck();
  await drawAll(page);
  for (const kind of kindsOf(report)) agree(await marks(page, kind), first(report, kind), [HOSTILE]);
  const rows = page.locator("#tables tbody tr:visible");
  assert.equal(await rows.count(), rowsOf(report).filter(row => row[0].text !== HOSTILE).length);
  assert.equal(await rows.filter({hasText: "alert"}).count(), 0);
  // The view is in the address, and whoever opens that sees the same.
  const fragment = new URL(page.url()).hash;
  assert.deepEqual(new URLSearchParams(fragment.slice(1)).getAll("off"), [HOSTILE]);
  await open("small", async other => {
    await drawAll(other);
    assert.equal(await box(other, HOSTILE).isChecked(), false);
    agree(await marks(other, "p99"), first(report, "p99"), [HOSTILE]);
  }, {fragment});
  await page.getByRole("button", {name: "none", exact: true}).click();
  await drawOne(page.locator("#chart-throughput"));
  assert.equal(await page.locator("#chart-throughput .nothing").textContent(), "Every backend of this chart is switched off.");
  assert.equal(await rows.count(), 0);
  await page.getByRole("button", {name: "all", exact: true}).click();
  await drawOne(page.locator("#chart-throughput"));
  agree(await marks(page, "throughput"), first(report, "throughput"));
}));

test("an address that somebody made up does no harm", () => open("small", async page => {
  await drawAll(page);
  agree(await marks(page, "throughput"), first(contents("small"), "throughput"));
  assert.equal(await page.locator("#chart-throughput select[aria-label='which cells']").inputValue(), "throughput");
}, {fragment: "#off=%3Cimg%3E&off=__proto__&x.throughput=constructor&show.throughput=p99&theme=evil&y.nonsense=log&%"}));

test("a table sorts both ways, by value, with the mouse and with the keyboard", () => open("small", async page => {
  const column = (index, table = 0) => page.evaluate(([index, table]) =>
    [...document.querySelectorAll("#tables table")[table].tBodies[0].rows].map(row => row.cells[index].textContent), [index, table]);
  const head = (name, table = 0) => page.locator("#tables table").nth(table).locator("th").filter({hasText: name});
  const numbers = async () => (await column(2)).map(text => Number(text.replaceAll(",", "")));
  const ascending = (await numbers()).toSorted((a, b) => a - b);
  await head("requests/s").getByRole("button").click();
  assert.deepEqual(await numbers(), ascending);
  assert.equal(await head("requests/s").getAttribute("aria-sort"), "ascending");
  await head("requests/s").getByRole("button").press("Enter");
  assert.deepEqual(await numbers(), ascending.toReversed());
  assert.equal(await head("requests/s").getAttribute("aria-sort"), "descending");
  await head("p99").getByRole("button").press("Space");
  assert.equal((await column(3)).at(-1), "–");
  await head("p99").getByRole("button").press("Space");
  assert.equal((await column(3)).at(-1), "–");
  assert.equal(await head("requests/s").getAttribute("aria-sort"), "none");
  await head("backend").getByRole("button").click();
  assert.equal((await column(0))[0], HOSTILE);
  // The other table is sorted by itself.
  const before = await column(0);
  await head("backend", 1).getByRole("button").click();
  assert.equal((await column(0, 1))[0], HOSTILE);
  assert.deepEqual(await column(0), before);
}));

test("what is pointed at is told, and the keyboard gets there too", () => open("small", async page => {
  const plot = page.locator("#chart-throughput .plot");
  await drawOne(page.locator("#chart-throughput"));
  const told = () => plot.locator(".tip text > tspan").allTextContents().then(lines => lines.join("|").replaceAll("\u200b", ""));
  const dot = await plot.locator(".point.valid > *").nth(3).boundingBox();
  await page.mouse.move(dot.x + dot.width / 2, dot.y + dot.height / 2);
  await plot.locator(".tip text").waitFor();
  const chart = first(contents("small"), "throughput");
  const point = chart.series[0].points[3];
  assert.match((await told()).replaceAll("|", " "), new RegExp(`threads\\s+throughput ${Math.round(point.y)} <i>said</i> at 512\\s+Valid`));
  await page.mouse.move(5, 5);
  await plot.focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  const heard = page.locator("#chart-throughput .heard");
  assert.equal(await heard.textContent(), ["threads", ...chart.series[0].points[1].said].join(", "));
  await page.keyboard.press("ArrowDown");
  assert.equal(await heard.textContent(), ["select", ...chart.series[1].points[1].said].join(", "));
  await plot.locator(".tip text").waitFor();
}));

test("what is told stays on a small screen", () => open("many", async page => {
  const figure = page.locator("#chart-p99"), plot = figure.locator(".plot");
  await drawOne(figure);
  await plot.focus();
  for (let place = 0; place < 5; place += 1) {
    await page.keyboard.press("ArrowRight");
    await page.waitForFunction(() => document.querySelector("#chart-p99 .tip:not([visibility]) path")?.getAttribute("d"));
    const {x, width} = await plot.locator(".tip").boundingBox();
    assert.ok(x >= 0 && x + width <= 360, `from ${x}, ${width} wide`);
  }
}, {width: 360}));

test("everything is reached with the keyboard", () => open("small", async page => {
  await page.locator("body").press("Tab");
  const reached = new Set();
  for (let step = 0; step < 75; step += 1) {
    reached.add(await page.evaluate(() => {
      const one = document.activeElement;
      return one.closest("#backends") ? "backends" : one.matches(".plot") ? "plot" : one.matches("th button") ? "sort"
        : one.matches(".command button") ? "copy" : one.matches(".tools *") ? "axes" : one.id || one.tagName;
    }));
    await page.keyboard.press("Tab");
  }
  for (const one of ["theme", "backends", "plot", "axes", "sort", "copy"]) assert.ok(reached.has(one), `${one}: ${[...reached]}`);
}));

test("the command is copied, or else selected", () => open("small", async page => {
  await page.locator(".command button").click();
  await page.locator(".command button", {hasText: /copied|selected/}).waitFor();
}));

test("a chart is saved as a picture of its own, with the names of all that it shows", () => open("many", async page => {
  await drawOne(page.locator("#chart-p99"));
  const waiting = page.waitForEvent("download");
  await page.locator("#chart-p99").getByRole("button", {name: "save as SVG"}).click();
  const download = await waiting;
  assert.equal(download.suggestedFilename(), "p99.svg");
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  const svg = Buffer.concat(chunks).toString();
  assert.ok(svg.includes("io_uring-oneshot") && svg.includes("&lt;script&gt;") && !svg.includes("var(--b"), svg.slice(0, 400));
}, {acceptDownloads: true, width: 400}));
