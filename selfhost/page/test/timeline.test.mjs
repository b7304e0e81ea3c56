/* What needs no browser: history folded into lines, and names of rooms. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { roomName } from "../src/rooms.ts";
import { Timeline } from "../src/timeline.ts";

const event = (offset, name, data, from = "ann") => ({
  event: name,
  offset,
  from,
  time: 1000 + offset,
  data,
});
const shown = (timeline) =>
  timeline.lines.map((l) => [l.offset, l.deleted ? "deleted" : l.text, l.edited]);

test("edits and deletions change the line, in whatever order they are read", () => {
  const timeline = new Timeline();
  timeline.append(event(10, "message", { text: "a" }));
  timeline.append(event(11, "edit", { offset: 10, text: "b" }));
  timeline.append(event(12, "edit", { offset: 3, text: "newer" })); // of one not loaded yet
  timeline.append(event(13, "delete", { offset: 4 }));
  timeline.append(event(14, "edit", { offset: 4, text: "too late" }));
  timeline.prepend([
    event(3, "message", { text: "old" }),
    event(4, "message", { text: "secret" }),
    event(5, "edit", { offset: 3, text: "overtaken" }),
    event(6, "edit", { offset: 10 }), // overtaken, without a text
  ]);
  assert.deepEqual(shown(timeline), [
    [3, "newer", 1012],
    [4, "deleted", 0],
    [10, "b", 1011],
  ]);
  assert.equal(timeline.oldest, 3);
});

test("history that was rewritten in place reads the same", () => {
  const timeline = new Timeline();
  timeline.prepend([
    event(1, "message", { text: "b", edited: 77, edit: 3 }),
    event(2, "message", { deleted: true }),
    event(3, "edit", { offset: 1, text: "b" }),
  ]);
  assert.deepEqual(shown(timeline), [
    [1, "b", 1003],
    [2, "deleted", 0],
  ]);
});

test("what is not as it should be is left out, and nothing comes twice", () => {
  const timeline = new Timeline();
  for (const data of [undefined, null, 7, "text", [], {}, { text: 7 }, { text: null }]) {
    assert.equal(timeline.append(event(1, "message", data)), undefined);
    assert.equal(timeline.append(event(1, "topic", data)), undefined);
    assert.equal(timeline.append(event(1, "slow", data)), undefined);
    assert.equal(timeline.append(event(1, "edit", data)), undefined);
    assert.equal(timeline.append(event(1, "delete", data)), undefined);
  }
  timeline.append(event(2, "message", { text: "x" }));
  timeline.append(event(2, "message", { text: "y" }));
  timeline.append({ ...event(3, "message", { text: "z" }), offset: undefined });
  timeline.append(event(4, "delete", { offset: 99 }));
  timeline.append(event(5, "nonsense", { text: "z" }));
  assert.deepEqual(shown(timeline), [[2, "x", 0]]);
  timeline.clear();
  assert.deepEqual([shown(timeline), timeline.oldest], [[], 0]);
});

test("names of rooms", () => {
  for (const [text, want] of [
    ["Lobby", "lobby"],
    [" #Tea  Kitchen ", "tea-kitchen"],
    ["a".repeat(64), "a".repeat(64)],
    ["a".repeat(65), undefined],
    ["", undefined],
    [".", undefined],
    ["..", undefined],
    ["a/b", undefined],
    ["küche", undefined],
    ["v1.2_x~y", "v1.2_x~y"],
  ]) {
    assert.equal(roomName(text), want, text);
  }
});
