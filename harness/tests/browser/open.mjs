// Opens a page of a report as a reader does who has nothing but the file, and notes everything that it should not do.

import {after} from "node:test";
import assert from "node:assert/strict";
import {execFileSync} from "node:child_process";
import {chromium} from "playwright-core";

const {PAGES, BROWSER = "chromium"} = process.env;
const executablePath = execFileSync("sh", ["-c", 'command -v "$1"', "sh", BROWSER], {encoding: "utf8"}).trim();
const browser = await chromium.launch({
  executablePath,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
after(() => browser.close());

// Runs `look` on an opened page, then asserts that nothing was loaded, reported, or run that is not the page's own.
export async function open(name, look, {fragment = "", width = 1400, ...options} = {}) {
  const context = await browser.newContext({viewport: {width, height: 900}, ...options});
  const faults = [];
  const file = `file://${PAGES}/${name}.html`;
  await context.route("**", route => {
    const url = route.request().url().split("#")[0];
    if (url === file) return route.continue();
    faults.push(`asked for ${url}`);
    return route.abort();
  });
  await context.setOffline(true);
  const page = await context.newPage();
  page.on("console", message => { if (["error", "warning"].includes(message.type())) faults.push(message.text()); });
  page.on("pageerror", error => faults.push(String(error.stack)));
  page.on("dialog", dialog => { faults.push(`dialog ${dialog.message()}`); dialog.dismiss(); });
  await page.addInitScript(() => {
    window.refused = [];
    document.addEventListener("securitypolicyviolation", event => window.refused.push(event.violatedDirective));
  });
  page.setDefaultTimeout(30000);
  await page.goto(file + fragment);
  try {
    await look(page);
    if (options.javaScriptEnabled !== false)
      faults.push(...(await page.evaluate(() => window.refused)).map(directive => `refused: ${directive}`));
    assert.deepEqual(faults, []);
  } finally {
    await context.close();
  }
}

// Charts are drawn when they come into view: brings each there.
export async function drawAll(page) {
  for (const figure of await page.locator("figure.chart").all()) await drawOne(figure);
}

// What is drawn above a chart moves it out of view again, so it is brought there until it is drawn.
export async function drawOne(figure) {
  const drawn = figure.locator(".plot:not([aria-busy])");
  for (let turns = 15; ; turns--) {
    await figure.evaluate(element => element.scrollIntoView({block: "center"}));
    try {
      return await drawn.waitFor({timeout: 2000});
    } catch (error) {
      if (turns === 1) throw error;
    }
  }
}

// What is drawn in the chart of a kind, by counting.
export const marks = (page, kind) => page.evaluate(kind => {
  const svg = document.querySelector(`#chart-${kind} .plot svg`);
  const count = selector => svg.querySelectorAll(selector).length;
  return {
    points: count(".point > *"), valid: count(".point.valid > *"), suspect: count(".point.suspect > *"),
    invalid: count(".point.invalid > *"), crossed: count(".crossed > *"), intervals: count(".interval > *"),
    lines: count(".line path"), marks: count(".mark > *"), bands: count(".band > *"),
    said: [...svg.querySelectorAll(".point > *")].map(dot => dot.getAttribute("aria-label")).sort(),
  };
}, kind);
