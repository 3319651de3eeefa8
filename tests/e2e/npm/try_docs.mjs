// Opens the gateway's page in a headless browser, tries an operation through it, and says as JSON what was seen: what the page shows as the answer,
// what was asked of whom, and all that the browser complained about. usage: try_docs.mjs CHROMIUM SCREENSHOT WHAT, where WHAT is JSON:
//   {url, method, path, fields: {NAME: TEXT}, body: TEXT, token: TEXT}
import puppeteer from "puppeteer-core";

const [chromium, screenshot, asked] = process.argv.slice(2);
const what = JSON.parse(asked);
const browser = await puppeteer.launch({
  executablePath: chromium,
  // Tests may run as root, which a sandbox does not like; and a browser asks its maker for this and that unless told not to.
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
});
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 1000 });
  const seen = { requests: [], complaints: [] };
  page.on("request", (each) => {
    if (!each.url().startsWith("data:")) seen.requests.push({ method: each.method(), url: each.url(), headers: each.headers(), body: each.postData() });
  });
  // Also of answers that are no success.
  page.on("console", (each) => { if (["error", "warn", "issue"].includes(each.type())) seen.complaints.push(each.text()); });
  page.on("pageerror", (each) => seen.complaints.push(String(each)));
  page.on("requestfailed", (each) => seen.complaints.push(`${each.url()}: ${each.failure().errorText}`));
  await page.evaluateOnNewDocument(() => {
    document.addEventListener("securitypolicyviolation", (each) => console.error(`CSP: ${each.violatedDirective} ${each.blockedURI}`));
  });
  await page.goto(what.url, { waitUntil: "networkidle0", timeout: 30_000 });

  if (what.token) {
    await page.click("button.authorize");
    await (await page.waitForSelector(".auth-container input")).type(what.token);
    await page.click(".auth-btn-wrapper button.authorize");
    await page.click(".auth-btn-wrapper button.btn-done");
  }
  const block = `.opblock-${what.method}:has([data-path='${what.path}'])`;
  await (await page.waitForSelector(`${block} .opblock-summary-control`)).click();
  for (const [name, text] of Object.entries(what.fields ?? {})) {
    await (await page.waitForSelector(`${block} tr[data-param-name='${name}'] input`)).type(text);
  }
  if (what.body) {
    const field = await page.waitForSelector(`${block} textarea.body-param__text`);
    await field.evaluate((each) => each.select());
    await field.type(what.body);
  }
  await (await page.waitForSelector(`${block} button.execute`)).click();
  const answer = await page.waitForSelector(`${block} .live-responses-table tbody .response-col_description pre`);
  seen.answer = await answer.evaluate((each) => each.textContent);
  seen.status = await page.$eval(`${block} .live-responses-table tbody .response-col_status`, (each) => each.textContent.trim());
  seen.title = await page.title();
  await page.screenshot({ path: screenshot, fullPage: true });
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
