import {test} from "node:test";
import assert from "node:assert/strict";
import {existsSync, readFileSync} from "node:fs";
import {contents, drawAll, drawOne, marks, open} from "./open.mjs";
import {unreadable} from "./unreadable.mjs";

const HOSTILE = "<script>alert(1)</script>";
const {PAGES, SCREENSHOTS} = process.env;
const first = (report, kind) => report.charts.find(chart => chart.kind === kind);
const kindsOf = report => [...new Set(report.charts.map(chart => chart.kind))];
const rowsOf = report => report.tables.flatMap(table => table.rows);
const box = (page, name) => page.locator("#backends label").filter({hasText: name}).first().locator("input");

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

function agree(drawn, chart, off) {
  const wanted = demanded(chart, off);
  const seen = Object.fromEntries(Object.keys(wanted).map(key => [key, drawn[key]]));
  assert.deepEqual(seen, wanted, chart.id);
}

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
