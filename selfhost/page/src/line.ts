import { h } from "./dom.ts";
import { formatFull, formatShort, formatTime, formatWait, hueOf, initials } from "./format.ts";
import type { Line } from "./timeline.ts";

/** A person's mark: a color and a letter or two. */
export function avatar(name: string): HTMLElement {
  const attrs = { "aria-hidden": "true", "data-hue": String(hueOf(name)) };
  return h("span", { class: "avatar", text: initials(name || "?"), attrs });
}

/** The frame of a message; what it says goes into its `.body`. */
export function row(from: string, time: number, head: boolean, mine: boolean): HTMLElement {
  const element = h("li", { class: `line${head ? " head" : ""}${mine ? " mine" : ""}` });
  const name = from || "Somebody";
  const stamp = h("time", {
    text: head ? formatTime(time) : formatShort(time),
    attrs: { datetime: new Date(time).toISOString(), title: formatFull(time) },
  });
  const body = h("div", { class: "body" });
  if (head) {
    element.append(avatar(name));
    body.append(h("p", { class: "by" }, h("b", { text: name }), stamp));
  } else {
    element.append(stamp);
    body.append(h("span", { class: "hidden", text: name }));
  }
  element.append(body);
  return element;
}

/** A line that tells of a change of the room. */
export function notice(line: Line): HTMLElement {
  const name = line.from || "The room";
  const seconds = Number(line.text);
  const text =
    line.kind === "slow"
      ? seconds
        ? `${name} turned on slow mode: one message every ${formatWait(seconds * 1000)}.`
        : `${name} turned slow mode off.`
      : line.text
        ? `${name} set the topic: ${line.text}`
        : `${name} removed the topic.`;
  return h("li", { class: "notice", text });
}

/** Appends text whose http addresses are links; everything else stays text. */
export function appendText(parent: HTMLElement, text: string): void {
  let from = 0;
  for (const match of text.matchAll(/\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}]/g)) {
    parent.append(text.slice(from, match.index));
    const attrs = { href: match[0], rel: "noopener noreferrer nofollow", target: "_blank" };
    parent.append(h("a", { text: match[0], attrs }));
    from = match.index + match[0].length;
  }
  parent.append(text.slice(from));
}
