/** The element with an id; the page's own HTML has it. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no element #${id}`);
  return element as T;
}

/** What {@link h} sets: `class`, `text`, `on` and attributes. */
interface Props {
  readonly class?: string;
  /** Set as text, never as HTML. */
  readonly text?: string;
  readonly on?: {
    readonly [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void;
  };
  readonly attrs?: { readonly [name: string]: string };
}

/** Makes an element. Whatever people wrote goes through `text` or a string child. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: (Node | string | undefined)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (props.class) element.className = props.class;
  if (props.text !== undefined) element.textContent = props.text;
  for (const [name, value] of Object.entries(props.attrs ?? {})) element.setAttribute(name, value);
  for (const [name, listener] of Object.entries(props.on ?? {})) {
    element.addEventListener(name, listener as EventListener);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** One item of a list that {@link reconcile} keeps. */
export interface Item {
  readonly key: string;
  /** The element is made again when it changes. */
  readonly version: string;
  readonly make: () => HTMLElement;
}

/** Elements by key, as {@link reconcile} left them. */
export type Kept = Map<string, { readonly version: string; readonly element: HTMLElement }>;

/**
 * Makes the children of `parent` those of `items`, reusing what has not changed. Each has its
 * key in `data-key`.
 */
export function reconcile(parent: HTMLElement, kept: Kept, items: readonly Item[]): void {
  const keys = new Set(items.map((item) => item.key));
  for (const [key, old] of kept) {
    if (keys.has(key)) continue;
    old.element.remove();
    kept.delete(key);
  }
  let next = parent.firstElementChild;
  for (const item of items) {
    const old = kept.get(item.key);
    let element = old?.element;
    if (!element || old?.version !== item.version) {
      const made = item.make();
      made.dataset.key = item.key;
      if (element) {
        if (element === next) next = made;
        element.replaceWith(made);
      }
      element = made;
      kept.set(item.key, { version: item.version, element });
    }
    if (element === next) next = element.nextElementSibling;
    else parent.insertBefore(element, next);
  }
}

/** Icons, 24 by 24, drawn with lines. */
const icons = {
  send: "M4 12 20 4l-5 16-3.5-6.500zM11.5 13.5 20 4",
  people:
    "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M2.5 20a6.5 6.5 0 0 1 13 0M16 4.5a3.5 3.5 0 0 1 0 6M18 14.5a6.5 6.5 0 0 1 3.5 5.5",
  menu: "M4 7h16M4 12h16M4 17h10",
  edit: "M4 20l1-5L16 4l4 4L9 19zM14 6l4 4",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  gear: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.500z",
  down: "M12 5v14M6 13l6 6 6-6",
} as const;

export type IconName = keyof typeof icons;

/** Draws an icon that screen readers skip. */
export function icon(name: IconName): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", icons[name]);
  svg.append(path);
  return svg;
}
