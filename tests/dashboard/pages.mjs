// Drives the dashboard in Chromium and prints a line for each check that passes. `browser.rs` starts it.
// With WARDIAN_SCREENSHOTS, a folder, it leaves a picture of each view there.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { deflateSync, crc32 } from "node:zlib";

const packages = createRequire(`${process.env.WARDIAN_NODE_PACKAGES}/`);
const { chromium } = packages("playwright-core");
const axe = readFileSync(packages.resolve("axe-core/axe.min.js"), "utf8");

const given = JSON.parse(process.argv[2]);
const pictures = process.env.WARDIAN_SCREENSHOTS;

const browser = await chromium.launch({
  executablePath: given.chromium,
  // Tests run as root in containers, where Chromium has no sandbox of its own.
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
});

/** What the browser complained about on any page, the policy's violations included. */
const complaints = [];

/** Opens a window with a key in its tab, as if it had been entered. */
async function open(key, { tenant = "", ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    // A refused request is logged by the browser itself, and is what some checks want.
    const isRefusal = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isRefusal) complaints.push(message.text());
  });
  await page.addInitScript(([key, tenant]) => {
    if (sessionStorage.length > 0) return;
    sessionStorage.setItem("wardian.key", key);
    sessionStorage.setItem("wardian.tenant", tenant);
  }, [key, tenant]);
  return page;
}

async function go(page, view) {
  await page.goto(`${given.address}/dashboard#/${view}`);
  await page.locator("h1").waitFor();
  await page.locator('#connection[data-status="live"]').waitFor();
}

let failed = false;

async function check(name, run) {
  const start = performance.now();
  try {
    await run();
    console.log(`${name}: ok, ${Math.round(performance.now() - start)} ms`);
  } catch (error) {
    failed = true;
    console.log(`${name}: FAILED\n${error.stack}`);
  }
}

/** A picture of a view, for people to look at. */
async function picture(page, name) {
  if (pictures) await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
}

const STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Fails with every fault that axe finds, by all of its rules or by those given. */
async function accessible(page, what, rules = STANDARDS) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate((runOnly) => globalThis.axe.run(document, { runOnly }), rules);
  const faults = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`);
  assert.deepEqual(faults, [], what);
}

/** A PNG of one colour, by a row of pixels. */
function png(width, height, [red, green, blue]) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const framed = Buffer.alloc(body.length + 8);
    framed.writeUInt32BE(data.length);
    body.copy(framed, 4);
    framed.writeUInt32BE(crc32(body), body.length + 4);
    return framed;
  };
  const head = Buffer.from([0, 0, 0, width, 0, 0, 0, height, 8, 2, 0, 0, 0]);
  const row = Buffer.from([0, ...Array.from({ length: width }, () => [red, green, blue]).flat()]);
  const pixels = deflateSync(Buffer.concat(Array(height).fill(row)));
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([signature, chunk("IHDR", head), chunk("IDAT", pixels), chunk("IEND", Buffer.alloc(0))]);
}

const answer = (page) => page.locator("form:not([hidden]) .answer");
const ask = (page) => page.locator("form:not([hidden])").getByRole("button", { name: "Ask" }).click();

await check("the address leads to the page, which asks for a key", async () => {
  const page = await open("");
  await page.goto(`${given.address}/`);
  assert.equal(new URL(page.url()).pathname, "/");
  await page.getByText("this server needs a key").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "key");
  await accessible(page, "without a key");
  await picture(page, "key");

  await page.keyboard.type("wrong");
  await page.keyboard.press("Enter");
  await page.getByText("is not known to this server").waitFor();

  await page.getByLabel("API key").fill(given.keys.all);
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "iris" }).waitFor();
  await page.reload();
  await page.getByRole("link", { name: "iris" }).waitFor();
  assert.deepEqual(await page.evaluate(() => [localStorage.length, document.cookie]), [0, ""]);

  // Another tab knows nothing of the key.
  const other = await page.context().newPage();
  await other.goto(`${given.address}/dashboard`);
  await other.getByText("this server needs a key").waitFor();
  await page.context().close();
});

const page = await open(given.keys.all);

await check("every model is shown with its state and the reason of its last failure", async () => {
  await go(page, "");
  const rows = page.getByRole("row");
  await rows.filter({ hasText: "iris" }).filter({ hasText: "Ready" }).waitFor();
  const faulty = rows.filter({ hasText: "faulty" });
  await faulty.filter({ hasText: "Unavailable" }).waitFor();
  assert.match(await faulty.innerText(), /<img src onerror=xs>/);
});

await check("a text of a model is never markup", async () => {
  await go(page, "models/markup");
  await page.getByText("<img src onerror=xs>").waitFor();
  assert.equal(await page.locator("main img").count(), 0);
  await page.getByLabel("Table", { exact: true }).check();
  await page.locator("form:not([hidden]) textarea").fill("<img src onerror=xs>\n1\n");
  await ask(page);
  await answer(page).getByText("<img src onerror=xs>").waitFor();
  assert.equal(await page.locator("main img").count(), 0);
});

await check("the policy forbids code, markup and requests from elsewhere", async () => {
  const seen = await page.evaluate(async () => {
    const violations = [];
    document.addEventListener("securitypolicyviolation", (event) => violations.push(event.effectiveDirective));
    const script = document.createElement("script");
    try { script.textContent = "globalThis.injected = true"; } catch { violations.push("trusted script"); }
    document.body.append(script);
    try { document.body.setAttribute("onclick", "globalThis.injected = true"); } catch { violations.push("trusted handler"); }
    document.body.style.cssText = "";
    const styled = document.createElement("p");
    styled.setAttribute("style", "color: red");
    try { document.createElement("p").innerHTML = "<b>"; } catch { violations.push("trusted html"); }
    await fetch("http://127.0.0.1:1/").catch(() => violations.push("fetch"));
    document.body.click();
    await new Promise((resolve) => setTimeout(resolve));
    return { injected: globalThis.injected ?? false, violations };
  });
  assert.equal(seen.injected, false);
  for (const expected of ["trusted html", "fetch"]) assert(seen.violations.includes(expected), JSON.stringify(seen));
  complaints.length = 0;
  await page.reload();
});

await check("numbers are entered in a box each", async () => {
  await go(page, "models/iris");
  const boxes = page.locator("form:not([hidden]) fieldset input");
  await boxes.first().waitFor();
  const values = ["5.1", "3.5", "1.4", "0.2"];
  for (const [index, value] of values.entries()) await boxes.nth(index).fill(value);
  await ask(page);
  await answer(page).getByText("setosa").waitFor();
  await answer(page).getByText("0.9784924982845289").waitFor();
  await boxes.nth(2).fill("much");
  await ask(page);
  await answer(page).getByText("'much' is not a number").waitFor();
});

await check("a text is entered as it is", async () => {
  await go(page, "models/upper");
  await page.locator("form:not([hidden]) textarea").first().fill("cat & <b>dog</b>");
  await ask(page);
  await answer(page).getByText("CAT & <B>DOG</B>").waitFor();
});

await check("a table is pasted from a spreadsheet", async () => {
  await go(page, "models/house-price");
  await page.getByLabel("Table", { exact: true }).check();
  const box = page.locator("form:not([hidden]) textarea");
  const header = (await box.inputValue()).trim().split(",");
  const row = header.map((name) => (name === "lotsize" ? "5850" : "1"));
  await box.fill([header, row, row].map((cells) => cells.join("\t")).join("\n"));
  await ask(page);
  await answer(page).getByRole("row").nth(2).waitFor();
  assert.equal(await answer(page).getByRole("row").count(), 3);
  await picture(page, "table");
});

await check("a streamed text is shown as it is written", async () => {
  await go(page, "models/chat");
  await page.locator("form:not([hidden]) textarea").first().fill("to be");
  await page.getByLabel("Show the answer as it is written").check();
  await page.locator("form:not([hidden])").getByText("Parameters").click();
  await page.getByLabel("A JSON object").fill('{"max_tokens": 60, "temperature": 0}');
  await ask(page);
  const text = answer(page).locator("dd").first();
  await page.waitForFunction((element) => element.textContent.length >= 60, await text.elementHandle());
  await picture(page, "stream");
});

await check("an image is dropped in", async () => {
  await go(page, "models/digits");
  const drop = page.locator("form:not([hidden]) input[type=file]");
  await drop.setInputFiles({ name: "dark.png", mimeType: "image/png", buffer: png(16, 16, [0, 0, 0]) });
  await page.getByText("8 × 8 pixels").waitFor();
  await ask(page);
  await answer(page).getByText("probabilities").waitFor();
  await drop.setInputFiles({ name: "none.png", mimeType: "image/png", buffer: Buffer.from("no image") });
  await page.getByText("cannot read this file as an image").waitFor();
});

await check("a version is uploaded, and its swap is seen live and marked in the plots", async () => {
  const watching = await open(given.keys.all);
  await go(watching, "models/steady");
  await ask(watching);
  const marks = watching.locator('.plot [stroke="#8844AA"]');
  // A vertical line has no width, so the driver holds it for hidden.
  await marks.first().waitFor({ state: "attached" });
  const before = await marks.count();

  await go(page, "upload");
  await accessible(page, "upload");
  await page.getByLabel("Drop a file here").setInputFiles(given.component);
  await page.getByText("steady.wasm").waitFor();
  assert.equal(await page.getByLabel("Version").inputValue(), "2");
  await picture(page, "upload");
  await page.getByRole("button", { name: "Upload" }).click();
  await page.getByText("Version 2 of steady is READY").waitFor();

  await watching.getByText("Version 2 went live").waitFor();
  await watching.waitForFunction((before) => document.querySelectorAll('.plot [stroke="#8844AA"]').length > before, before);
  await watching.getByRole("row").filter({ hasText: "Ready" }).first().waitFor();
  await picture(watching, "swap");
  await watching.context().close();

  await page.getByLabel("Drop a file here").setInputFiles({ name: "broken.wasm", mimeType: "application/wasm", buffer: Buffer.from("broken") });
  await page.getByRole("button", { name: "Upload" }).click();
  await page.getByRole("alert").filter({ hasText: /./ }).waitFor();
});

await check("the plots have their numbers as a table", async () => {
  await go(page, "models/iris");
  await page.locator(".plot svg[aria-label*='p95']").waitFor();
  await page.getByText("The numbers as a table").click();
  const numbers = page.getByRole("table", { name: "Requests by minute" });
  await numbers.getByRole("row").filter({ hasText: "ms" }).or(numbers.getByRole("row").filter({ hasText: "µs" })).first().waitFor();
});

await check("logs and tasks are shown", async () => {
  await go(page, "logs");
  await page.getByText("scripted loads version 2").first().waitFor();
  await accessible(page, "logs");
  await picture(page, "logs");
  await go(page, "tasks");
  await page.getByText("No task waits, runs or has failed.").waitFor();
  await accessible(page, "tasks");
  await picture(page, "tasks");
});

await check("a key sees only what it may see", async () => {
  const limited = await open(given.keys.ask);
  await go(limited, "");
  await limited.getByRole("link", { name: "iris" }).waitFor();
  const text = await limited.locator("body").innerText();
  for (const hidden of ["secret", "Upload", "Logs", "Tasks", "Tenants"]) assert(!text.includes(hidden), hidden);

  await limited.goto(`${given.address}/dashboard#/models/secret`);
  await limited.getByText("There is no such model for this key.").waitFor();
  await limited.goto(`${given.address}/dashboard#/logs`);
  await limited.getByText("needs a key with the scope 'manage'").waitFor();
  await limited.context().close();
});

await check("an operator sees every tenant, and looks at one", async () => {
  const operator = await open(given.keys.admin);
  await operator.goto(`${given.address}/dashboard`);
  await operator.getByText("this server has several tenants").waitFor();
  await operator.getByLabel("Tenant").fill("default");
  await operator.keyboard.press("Enter");
  await operator.getByRole("link", { name: "iris" }).waitFor();
  await operator.getByRole("link", { name: "Tenants" }).click();
  await operator.getByRole("button", { name: "other" }).waitFor();
  await accessible(operator, "tenants");
  await picture(operator, "tenants");
  await operator.getByRole("button", { name: "other" }).click();
  await operator.getByRole("link", { name: "secret" }).waitFor();
  await operator.context().close();
});

await check("the keyboard is enough", async () => {
  const typed = await open(given.keys.all);
  await go(typed, "");
  await typed.getByRole("link", { name: "upper" }).waitFor();
  const focused = () => typed.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.tagName);

  await typed.keyboard.press("Tab");
  assert.equal(await focused(), "Skip to the content");
  await typed.keyboard.press("Enter");
  assert.equal(await typed.evaluate(() => document.activeElement.id), "content");
  for (let step = 0; (await focused()) !== "upper"; step += 1) {
    assert(step < 30, "the model cannot be reached");
    await typed.keyboard.press("Tab");
  }
  await typed.keyboard.press("Enter");

  await typed.locator("form textarea").first().waitFor();
  for (let step = 0; (await focused()) !== "TEXTAREA"; step += 1) {
    assert(step < 30, "the field cannot be reached");
    await typed.keyboard.press("Tab");
  }
  await typed.keyboard.type("by hand");
  for (let step = 0; (await focused()) !== "Ask"; step += 1) {
    assert(step < 30, "the button cannot be reached");
    await typed.keyboard.press("Tab");
  }
  await typed.keyboard.press("Enter");
  await answer(typed).getByText("BY HAND").waitFor();
  await typed.context().close();
});

await check("every view is accessible, in light and dark and on a phone", async () => {
  const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
  for (const [look, options] of [["light", {}], ["dark", { colorScheme: "dark" }], ["phone", phone]]) {
    const shown = await open(given.keys.all, options);
    for (const [name, view] of [["models", ""], ["iris", "models/iris"], ["chat", "models/chat"], ["digits", "models/digits"], ["upload", "upload"], ["logs", "logs"], ["tasks", "tasks"]]) {
      await go(shown, view);
      if (view.startsWith("models/")) await shown.locator(".try form").first().waitFor();
      if (name === "models") await shown.getByRole("link", { name: "iris" }).waitFor();
      // Dark colours change the contrast alone.
      await accessible(shown, `${name}, ${look}`, look === "dark" ? ["color-contrast"] : STANDARDS);
      await picture(shown, `${name}-${look}`);
      const width = await shown.evaluate(() => document.scrollingElement.scrollWidth);
      assert(width <= (options.viewport?.width ?? 1280), `${name} is ${width} pixels wide, ${look}`);
    }
    await shown.context().close();
  }
});

await check("the browser had nothing to complain about", async () => assert.deepEqual(complaints, []));

await browser.close();
process.exitCode = failed ? 1 : 0;
