import { byId } from "./dom.ts";
import { enterName, enterToken, type Identity, lastName, NotTaken } from "./identity.ts";
import type { Room } from "./room.ts";
import type { Line } from "./timeline.ts";

/** Asks who the user is, until the server takes the answer. */
export function askIdentity(): Promise<Identity> {
  const dialog = byId<HTMLDialogElement>("welcome");
  const name = byId<HTMLInputElement>("name");
  const token = byId<HTMLInputElement>("token");
  const error = byId("welcome-error");
  const enter = byId<HTMLButtonElement>("enter");
  const form = dialog.querySelector("form") as HTMLFormElement;
  name.value = lastName();
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.showModal();
  name.select();
  return new Promise((resolve) => {
    const submit = async (event: SubmitEvent): Promise<void> => {
      event.preventDefault();
      error.textContent = "";
      enter.disabled = true;
      const asksToken = !byId("token-field").hidden;
      try {
        const identity = asksToken ? enterToken(token.value) : await enterName(name.value);
        form.removeEventListener("submit", submit);
        dialog.close();
        resolve(identity);
      } catch (cause) {
        const refused = cause instanceof NotTaken ? cause : new NotTaken("This did not work.");
        error.textContent = refused.message;
        if (refused.needsToken) {
          byId("name-field").hidden = true;
          byId("token-field").hidden = false;
          byId("welcome-text").textContent = "Sign in with the token that you were given.";
        }
        (byId("token-field").hidden ? name : token).focus();
      } finally {
        enter.disabled = false;
      }
    };
    form.addEventListener("submit", submit);
  });
}

/** Asks for the topic and the slow mode of a room, and publishes what was changed. */
export function askSettings(room: Room): void {
  const dialog = byId<HTMLDialogElement>("settings-dialog");
  const topic = byId<HTMLInputElement>("topic-field");
  const slow = byId<HTMLSelectElement>("slow-field");
  topic.value = room.topic;
  slow.value = String(room.slow);
  if (slow.value === "") {
    // A number of seconds that this page does not offer.
    slow.append(
      new Option(`One message every ${room.slow} seconds`, String(room.slow), true, true),
    );
  }
  byId("settings-cancel").onclick = () => dialog.close("");
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue !== "save") return;
    const text = topic.value.trim();
    const seconds = Number(slow.value);
    // What fails shows: the heading keeps the old topic.
    if (text !== room.topic) room.client.publish("topic", { text }).catch(() => {});
    if (seconds !== room.slow) room.client.publish("slow", { seconds }).catch(() => {});
  };
  dialog.showModal();
}

/** Asks whether a message is to be deleted. */
export function askDelete(line: Line): Promise<boolean> {
  const dialog = byId<HTMLDialogElement>("delete-dialog");
  byId("delete-text").textContent = line.text.slice(0, 300);
  byId("delete-cancel").onclick = () => dialog.close("");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "delete");
  });
}
