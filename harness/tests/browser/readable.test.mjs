// What can be read on a page, on any screen, in any colours, and without scripts.

import {test} from "node:test";
import assert from "node:assert/strict";
import {drawAll, open} from "./open.mjs";
import {HOSTILE, contents, first, kindsOf, rowsOf} from "./pages.mjs";
import {unreadable} from "./unreadable.mjs";

const {PAGES, SCREENSHOTS} = process.env;

test("the verdicts and the names of the table are in sight", () => open("small", async page => {
  const {wide, left} = await page.evaluate(() => {
    const box = document.querySelector("#tables .box"), name = document.querySelector("#tables tbody td");
    box.querySelector("table").style.minWidth = "3000px";
    box.scrollLeft = 500;
    return {wide: document.documentElement.scrollWidth <= document.documentElement.clientWidth,
      left: name.getBoundingClientRect().left - box.getBoundingClientRect().left};
  });
  assert.ok(wide, "the page itself does not scroll sideways");
  assert.ok(left >= 0 && left < 5, `the first column is ${left} from the edge`);
}));

test("without scripts the answer, the table and the facts are there", () => open("small", async page => {
  const text = await page.locator("body").innerText();
  for (const said of ["serves 1.31×", "Charts need JavaScript", "harness sweep --backends", HOSTILE, "kernel"]) assert.ok(text.includes(said), said);
  assert.equal(await page.locator("#tables tbody tr").count(), rowsOf(contents("small")).length);
}, {javaScriptEnabled: false}));

test("a file without trials makes a page that says so", () => open("nothing", async page => {
  const text = await page.locator("main").innerText();
  assert.match(text, /There is nothing to draw\.[^]*No trial was measured\./);
}));

for (const name of ["small", "many"])
  for (const colorScheme of ["light", "dark"])
    // Dark and light differ in colours alone, which many shows as well as few.
    for (const width of name === "many" ? [1400, 360] : colorScheme === "dark" ? [1400] : [360])
      test(`${name} is readable, ${colorScheme}, ${width} px`, () => open(name, async page => {
        await drawAll(page);
        assert.deepEqual(await page.evaluate(unreadable), []);
        const other = kindsOf(contents(name)).flatMap(kind => ["x", "y"].map(side =>
          `${side}.${kind}=${first(contents(name), kind)[side].scale === "linear" ? "log" : "linear"}`));
        await page.evaluate(fragment => { location.hash = fragment; }, other.join("&"));
        await page.waitForFunction(() => document.querySelector("#chart-throughput .plot").ariaBusy === "true" ||
          document.querySelector("#chart-throughput select:not([aria-label])").value === "linear");
        await drawAll(page);
        assert.deepEqual(await page.evaluate(unreadable), [], "with the other axes");
        if (SCREENSHOTS) {
          await page.goto(page.url().split("#")[0] + "#");
          await page.reload();
          await drawAll(page);
          await page.screenshot({path: `${PAGES}/${name}-${colorScheme}-${width}.png`, fullPage: true});
        }
        const expected = colorScheme === "dark" ? "rgb(22, 25, 29)" : "rgb(255, 255, 255)";
        const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        assert.equal(await ground(), expected);
        await page.locator("#theme").selectOption(colorScheme === "dark" ? "light" : "dark");
        assert.notEqual(await ground(), expected);
      }, {colorScheme, width}));
