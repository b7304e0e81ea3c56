/*
 * The page in a real Chromium, against the real server: ORIEL_BIN, or bin/oriel as `make build`
 * leaves it. ORIEL_CHROMIUM names the browser (default /usr/bin/chromium), ORIEL_SHOTS a folder
 * for screenshots.
 */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, beforeEach, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { Client } from "../../../rooms/client/ts/src/index.ts";
import { Server } from "./server.mjs";

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const desktop = { viewport: { width: 1280, height: 800 } };

/** Bounds every wait, in ms. It is long because the machine may be busy; nothing waits for it to pass. */
const patience = 60_000;

const server = new Server();
let browser;
const clients = [];

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.ORIEL_CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
});

after(async () => {
  await browser?.close();
  await Promise.all(clients.map((client) => client.close()));
  await server.remove();
});

/** Opens a window, enters under a name, and collects what went wrong in it. */
async function enter(user, room, options = desktop) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    const text = message.text();
    // What a browser says by itself while the server is away.
    if (/ERR_CONNECTION_|WebSocket connection to .* failed/.test(text)) return;
    if (["error", "warning"].includes(message.type())) faults.push(text);
  });
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (e) => {
      window.violations.push(`${e.violatedDirective} ${e.blockedURI}`);
    });
  });
  await page.goto(`${server.url}/#${room}`);
  await page.getByLabel("Your name").fill(user);
  await page.getByRole("button", { name: "Enter" }).click();
  await page.locator("#log, #older p").first().waitFor();
  await page.evaluate(() => {
    window.mark = "not reloaded";
  });
  const texts = () => page.locator("#log .line:not(.pending) .text").allTextContents();
  const say = async (text) => {
    await page.getByLabel("Message", { exact: true }).fill(text);
    await page.keyboard.press("Enter");
  };
  const ok = async () => {
    assert.deepEqual(faults, []);
    assert.deepEqual(await page.evaluate(() => window.violations), []);
    assert.equal(await page.evaluate(() => window.mark), "not reloaded");
  };
  return { page, texts, say, ok, close: () => context.close() };
}

/** A client without a browser, to fill rooms and to read what is really there. */
function client(user, room) {
  const made = new Client({
    url: server.url,
    kind: "chat",
    room,
    credential: async () => {
      const answer = await fetch(`${server.url}/v1/dev/token?user=${user}`);
      return (await answer.json()).token;
    },
  });
  clients.push(made);
  return made.open();
}

/** A token as an identity provider would make it: HS256, good for a minute. */
function sign(claims, secret) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + 60;
  const body = `${part({ alg: "HS256", typ: "JWT" })}.${part({ exp, ...claims })}`;
  return `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`;
}

/** Waits until `get` gives what is wanted; the failure shows what it gave last. */
async function eventually(get, want, what) {
  let value;
  for (const deadline = Date.now() + patience; Date.now() < deadline; ) {
    value = await get();
    try {
      assert.deepEqual(value, want);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  assert.deepEqual(value, want, what);
}

const people = (page) =>
  page
    .locator("#people-list li")
    .evaluateAll((items) => items.map((li) => li.querySelector(".who").textContent).sort());

const width = (page) =>
  page.evaluate(() => ({
    page: document.documentElement.scrollWidth - innerWidth,
    log:
      document.getElementById("scroll").scrollWidth - document.getElementById("scroll").clientWidth,
  }));

async function shoot(page, name) {
  if (process.env.ORIEL_SHOTS) {
    await page.screenshot({ path: `${process.env.ORIEL_SHOTS}/${name}.png` });
  }
}

describe("the page", { timeout: 10 * patience }, () => {
  beforeEach(() => server.start()); // a test that failed may have left it dead

  test("two talk; the server is killed and comes back; nobody reloads", async () => {
    const ann = await enter("ann", "spine");
    const bob = await enter("bob", "spine", { ...phone, colorScheme: "dark" });
    await eventually(() => people(ann.page), ["ann", "bob"]);
    await eventually(() => people(bob.page), ["ann", "bob"]);

    await ann.say("hello bob");
    await eventually(bob.texts, ["hello bob"]);
    const typing = ann.page.getByText("bob is typing").waitFor(); // it does not last
    await bob.page.getByLabel("Message", { exact: true }).pressSequentially("hi");
    await typing;
    await shoot(ann.page, "typing");
    await bob.page.keyboard.press("Enter");
    await eventually(ann.texts, ["hello bob", "hi"]);
    await eventually(() => ann.page.locator("#typing").textContent(), "");

    // Messages go out all the while, before, during and after.
    const want = ["hello bob", "hi"];
    for (let i = 0; i < 5; i++) {
      want.push(`before ${i}`);
      await ann.say(`before ${i}`);
    }
    await server.kill();
    await ann.page.locator("#status").waitFor();
    for (let i = 0; i < 3; i++) {
      want.push(`while away ${i}`);
      await ann.say(`while away ${i}`);
    }
    await eventually(async () => (await ann.page.locator(".pending").count()) >= 3, true);
    await ann.page.getByText("Waiting for a connection").first().waitFor();
    await bob.page.getByText(/Trying again in|Connecting again/).waitFor();
    await shoot(ann.page, "away");
    await shoot(bob.page, "away-phone");
    await server.start();
    want.push("after");
    await bob.page.locator("#status").waitFor({ state: "hidden" });
    await eventually(async () => (await bob.texts()).length, want.length - 1);
    await bob.say("after");

    await eventually(ann.texts, want, "ann sees each once, in order");
    await eventually(bob.texts, want, "bob sees each once, in order");
    assert.equal(await ann.page.locator(".pending, .failed").count(), 0);
    await eventually(() => people(ann.page), ["ann", "bob"]);
    await eventually(() => people(bob.page), ["ann", "bob"]);

    const reader = client("reader", "spine");
    const { events } = await reader.history({ limit: 200 });
    assert.deepEqual(
      events.map((e) => e.data.text),
      want,
      "history holds each once",
    );
    await ann.ok();
    await bob.ok();
    await ann.close();
    await bob.close();
  });

  test("scrolling back keeps its place and reaches the beginning", async () => {
    const writer = client("writer", "long");
    const all = Array.from(
      { length: 170 },
      (_, i) => `message ${i}${i % 7 ? "" : "\nsecond line"}`,
    );
    await Promise.all(all.map((text) => writer.publish("message", { text })));
    const { page, texts, ok, close } = await enter("ann", "long");
    await eventually(async () => (await texts()).at(-1), all.at(-1));
    await page.locator("#scroll").focus();
    let loaded = (await texts()).length;
    assert.ok(loaded < all.length, "not everything at once");
    while (loaded < all.length) {
      // To the top, and then: the line that was first stays where it is while others come.
      const moved = await page.evaluate(async (oldest) => {
        const scroll = document.getElementById("scroll");
        const log = document.getElementById("log");
        scroll.scrollTop = 0;
        const first = log.querySelector(".line .text");
        const key = first.textContent;
        if (key === oldest) return 0;
        const { bottom } = first.getBoundingClientRect();
        await new Promise((resolve) => {
          const watch = new MutationObserver(() => {
            if (log.querySelector(".line .text").textContent === key) return;
            watch.disconnect();
            requestAnimationFrame(resolve);
          });
          watch.observe(log, { childList: true });
        });
        const same = [...log.querySelectorAll(".text")].find((e) => e.textContent === key);
        return Math.abs(same.getBoundingClientRect().bottom - bottom);
      }, all[0]);
      assert.ok(moved < 2, `moved by ${moved} px`);
      loaded = (await texts()).length;
    }
    assert.deepEqual(await texts(), all);
    await page.getByText("This is the beginning of #long.").waitFor();
    await writer.publish("message", { text: "news" });
    await page.getByRole("button", { name: "1 new message" }).click();
    await eventually(
      () =>
        page.evaluate(() => {
          const s = document.getElementById("scroll");
          return s.scrollHeight - s.clientHeight - s.scrollTop < 2;
        }),
      true,
    );
    await ok();
    await close();
  });

  test("edit, delete, topic, slow mode, unread, and text that stays text", async () => {
    const ann = await enter("ann", "tools");
    const bob = await enter("bob", "tools");
    const evil = `<img src=x onerror="window.mark='owned'"><script>alert(1)</script>`;
    await ann.say(evil);
    await eventually(bob.texts, [evil]);
    await ann.say("helo");
    await eventually(bob.texts, [evil, "helo"]);
    await eventually(ann.texts, [evil, "helo"]); // what is on its way cannot be edited

    await ann.page.keyboard.press("ArrowUp");
    await ann.page.getByLabel("Edit the message").fill("hello");
    await ann.page.keyboard.press("Enter");
    await eventually(bob.texts, [evil, "hello (edited)"]);
    assert.equal(await bob.page.getByRole("button", { name: "Edit: hello" }).count(), 0);

    await ann.page.locator(".line .text").first().hover();
    await ann.page.getByRole("button", { name: "Delete: <img" }).click();
    await ann.page.getByRole("button", { name: "Delete", exact: true }).click();
    await bob.page.getByText("This message was deleted.").waitFor();
    await eventually(bob.texts, ["hello (edited)"]);

    await ann.page.getByRole("button", { name: "Topic and slow mode" }).click();
    await ann.page.getByLabel("Topic", { exact: true }).fill("Tea");
    await ann.page.getByLabel("Slow mode", { exact: true }).selectOption("5");
    await ann.page.getByRole("button", { name: "Save" }).click();
    await eventually(() => bob.page.locator("#topic").textContent(), "Tea");
    await bob.page.getByText("Slow mode: one message every 5 s.", { exact: true }).waitFor();
    const held = bob.page.getByText(/Not so fast: your message goes out in/).waitFor(); // nor does this last
    await bob.say("first");
    await bob.say("second");
    await held;
    await shoot(bob.page, "slow");
    await eventually(ann.texts, ["hello (edited)", "first", "second"]);

    await bob.page.getByPlaceholder("Join a room…").fill("Tea Kitchen");
    await bob.page.keyboard.press("Enter");
    await eventually(() => bob.page.locator("#title").textContent(), "#tea-kitchen");
    await bob.page.getByText("Nothing here yet. Say hello!").waitFor();
    await ann.say("are you there?");
    await bob.page.getByRole("link", { name: "tools 1 unread" }).click();
    await bob.page.getByText("New messages").waitFor();
    await eventually(() => bob.page.locator(".unread").count(), 0);
    await shoot(bob.page, "unread");

    const dark = () => bob.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await dark();
    await bob.page.getByRole("button", { name: "Use dark colors" }).click();
    assert.notEqual(await dark(), light);
    await ann.ok();
    await bob.ok();
    await ann.close();
    await bob.close();
  });

  test("a reload goes on with the session and finds everything again", async () => {
    const { page, say, texts, close } = await enter("ann", "reload");
    await say("one");
    await eventually(texts, ["one"]);
    await page.reload();
    await eventually(texts, ["one"]);
    await say("two");
    await eventually(texts, ["one", "two"]);
    const reader = client("reader", "reload");
    await reader.history();
    await eventually(() => reader.presence.members.get("ann")?.connections, 1);
    await close();
  });

  test("a phone's width: nothing scrolls sideways, the drawers open and close", async () => {
    const { page, say, ok, close } = await enter("ann", "narrow", {
      ...phone,
      viewport: { width: 320, height: 568 },
    });
    await say(`${"x".repeat(300)} https://example.org/${"y".repeat(200)}`);
    await page.locator(".text").waitFor();
    assert.deepEqual(await width(page), { page: 0, log: 0 });
    await page.getByRole("button", { name: "Show the list of rooms" }).click();
    await page.getByRole("link", { name: "random" }).waitFor();
    assert.equal((await width(page)).page, 0);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: /1 person here/ }).click();
    await page.getByRole("complementary", { name: "People here" }).getByText("ann").waitFor();
    assert.equal((await width(page)).page, 0);
    await shoot(page, "narrow-people");
    await page.getByRole("button", { name: "Close the list of people" }).click();
    await page.getByRole("complementary", { name: "People here" }).waitFor({ state: "hidden" });
    await ok();
    await close();
  });

  test("a server that is not for development asks for a token", async () => {
    const secret = "the-secret-of-the-browser-test-0123456789";
    const strict = new Server([], { ORIEL_SECRET: secret });
    await strict.start();
    const context = await browser.newContext(desktop);
    context.setDefaultTimeout(patience);
    try {
      const page = await context.newPage();
      await page.goto(`${strict.url}/#signed`);
      await page.getByLabel("Your name").fill("ann");
      await page.keyboard.press("Enter");
      const token = page.getByLabel("Access token");
      await token.fill(sign({ sub: "ann" }, "another-secret-that-the-server-does-not-know"));
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: "Sign in again" }).click();
      await page.getByLabel("Your name").fill("ann");
      await page.keyboard.press("Enter");
      await token.fill("not a token");
      await page.keyboard.press("Enter");
      await page.getByText("This is not a token").waitFor();
      await token.fill(sign({ sub: "ann" }, secret));
      await page.keyboard.press("Enter");
      await page.getByLabel("Message", { exact: true }).fill("let in");
      await page.keyboard.press("Enter");
      await page.locator(".line:not(.pending) .text", { hasText: "let in" }).waitFor();
    } finally {
      await context.close();
      await strict.remove();
    }
  });

  test("everything that can be used has a name", async () => {
    const { page, say, close } = await enter("ann", "names");
    await say("hi");
    await page.locator(".line .text").waitFor();
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll("button, input, textarea, select, a")]
        .filter((e) => {
          const labels = "labels" in e ? [...(e.labels ?? [])].map((l) => l.textContent) : [];
          return !(e.getAttribute("aria-label") || e.textContent.trim() || labels.join(""));
        })
        .filter((e) => e.offsetParent !== null)
        .map((e) => e.outerHTML),
    );
    assert.deepEqual(nameless, []);
    await close();
  });
});
