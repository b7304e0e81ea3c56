// Where objects are made: by kind, from two variables of the deployment.

/** What the platform knows (developers.cloudflare.com/durable-objects/reference/data-location, 2026). */
const jurisdictions: readonly string[] = ["eu", "us", "fedramp", "fedramp-high"];
const locations: readonly string[] = [
  "wnam",
  "enam",
  "sam",
  "weur",
  "eeur",
  "apac",
  "apac-ne",
  "apac-se",
  "oc",
  "afr",
  "me",
];

/** The name of the presence objects among the kinds. */
export const presenceKind = "presence";

/** What this needs of a namespace of the platform. */
export interface Objects {
  jurisdiction(jurisdiction: string): Objects;
  idFromName(name: string): unknown;
  get(id: unknown, options: object): unknown;
}

/** Decides where the objects of a kind are made. */
export class Placement {
  readonly #jurisdictions: Map<string, string>;
  readonly #locations: Map<string, string>;

  /**
   * Lists such as `chat=eu, presence=eu` and `chat=weur`. A jurisdiction is a promise, and part of a room's
   * identity: changing it makes other rooms. A location is a hint for a room that is first used.
   * Throws if a list cannot be read.
   */
  constructor(jurisdictionList: string, locationList: string) {
    this.#jurisdictions = parse("ORIEL_JURISDICTIONS", jurisdictionList, jurisdictions);
    this.#locations = parse("ORIEL_LOCATIONS", locationList, locations);
  }

  /** The stub of an object. T is what its class offers. */
  object<T>(namespace: Objects, kind: string, name: string): T {
    const jurisdiction = this.#jurisdictions.get(kind);
    const locationHint = this.#locations.get(kind);
    const objects = jurisdiction === undefined ? namespace : namespace.jurisdiction(jurisdiction);
    const id = objects.idFromName(name);
    return objects.get(id, locationHint === undefined ? {} : { locationHint }) as T;
  }
}

function parse(variable: string, list: string, known: readonly string[]): Map<string, string> {
  const out = new Map<string, string>();
  for (const item of list.split(",")) {
    if (item.trim() === "") continue;
    const [kind = "", value = "", more] = item.split("=").map((s) => s.trim());
    if (kind === "" || more !== undefined || !known.includes(value))
      throw new Error(`${variable}: ${item.trim()} is not KIND=${known.join("|")}`);
    out.set(kind, value);
  }
  return out;
}
