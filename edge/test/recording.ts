// The form of the recordings of rooms/conformance, as far as a replay needs it.

export interface Step {
  sleep?: boolean;
  batch?: string;
  effects?: string;
  trap?: string;
}

/** What a step gave: its effects in hex, or the cause of its trap. */
export interface Outcome {
  effects?: string;
  trap?: string;
  message?: string;
}
