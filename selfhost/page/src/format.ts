const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const date = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dated = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
const number = new Intl.NumberFormat();

export const formatTime = (time: number): string => clock.format(time);
/** A time for a narrow column: without AM and PM. */
export const formatShort = (time: number): string =>
  clock
    .formatToParts(time)
    .filter((part) => part.type !== "dayPeriod")
    .map((part) => part.value)
    .join("")
    .trim();
export const formatFull = (time: number): string => full.format(time);
export const formatNumber = (n: number): string => number.format(n);

/** The number of a day, for comparing. */
export const dayOf = (time: number): number => new Date(time).setHours(0, 0, 0, 0);

/** A day's name: today, yesterday, or its date. */
export function formatDay(time: number): string {
  const now = new Date();
  if (dayOf(time) === dayOf(now.getTime())) return "Today";
  if (dayOf(time) === dayOf(now.setDate(now.getDate() - 1))) return "Yesterday";
  const thisYear = new Date(time).getFullYear() === new Date().getFullYear();
  return (thisYear ? date : dated).format(time);
}

/** A duration for people: `12 s`, `3 min`. */
export function formatWait(ms: number): string {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  return seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
}

/** `1 person`, `2 people`. */
export function plural(n: number, one: string, many: string): string {
  return `${formatNumber(n)} ${n === 1 ? one : many}`;
}

/** One of twelve colors for a name, always the same. */
export function hueOf(name: string): number {
  let hash = 7;
  for (const c of name) hash = (hash * 31 + (c.codePointAt(0) ?? 0)) >>> 0;
  return hash % 12;
}

/** One or two letters that stand for a name. */
export function initials(name: string): string {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return letters.map((word) => [...(word ?? "?")][0]?.toUpperCase() ?? "?").join("");
}
