/** Earlier conversations of this browser, and the ways out. */

import { fromTemplate, onActions, part, setText } from "./parts.js";
import { Popup } from "./popup.js";

const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** @param {number} at @param {number} now both in ms since 1970 */
function ago(at, now) {
  const minutes = Math.round((at - now) / 60_000);
  if (minutes > -1) return "now";
  if (minutes > -60) return AGO.format(minutes, "minute");
  if (minutes > -1440) return AGO.format(Math.round(minutes / 60), "hour");
  return AGO.format(Math.round(minutes / 1440), "day");
}

export class Menu {
  #panel;
  #list;
  #none;
  #popup;
  #dialog;
  #ask = null;
  #entries;

  /**
   * @param {HTMLElement} root
   * @param {HTMLDialogElement} dialog asks before something is deleted
   * @param {{entries: () => {list: import("../state/library.js").Entry[], current: string}, onOpen: (id: string) => void, onDelete: () => void, onSignOut: () => void, onForget: () => void}} tell
   */
  constructor(root, dialog, { entries, onOpen, onDelete, onSignOut, onForget }) {
    this.#entries = entries;
    this.#panel = part(root, "menu-panel");
    this.#list = part(root, "menu-list");
    this.#none = part(root, "menu-none");
    this.#dialog = dialog;
    this.#popup = new Popup(part(root, "menu-button"), this.#panel, () => this.#fill());
    onActions(this.#panel, {
      open: (button) => this.#chosen(() => onOpen(button.dataset.id)),
      delete: () => this.#confirm("Delete this chat?", "It is kept nowhere but in this browser.", onDelete),
      "sign-out": () => this.#chosen(onSignOut),
      forget: () =>
        this.#confirm("Sign out and delete all chats?", "They are kept nowhere but in this browser.", onForget),
    });
    part(dialog, "dialog-cancel").addEventListener("click", () => dialog.close());
    part(dialog, "dialog-ok").addEventListener("click", () => {
      dialog.close();
      this.#ask?.();
    });
  }

  #chosen(action) {
    this.#popup.close();
    action();
  }

  #confirm(question, consequence, action) {
    this.#popup.close();
    this.#ask = action;
    setText(part(this.#dialog, "dialog-question"), question);
    setText(part(this.#dialog, "dialog-consequence"), consequence);
    this.#dialog.showModal();
  }

  #fill() {
    const { list, current } = this.#entries();
    this.#none.hidden = list.length > 0;
    this.#list.replaceChildren(...list.map((entry) => this.#entry(entry, entry.id === current)));
    part(this.#panel, "menu-delete").disabled = !list.some((entry) => entry.id === current);
    this.#panel.querySelector("button:not(:disabled)").focus();
  }

  #entry(entry, current) {
    const made = fromTemplate("menu-entry");
    const button = part(made, "entry");
    button.dataset.id = entry.id;
    if (current) button.setAttribute("aria-current", "true");
    setText(part(made, "entry-title"), entry.title || "Untitled");
    setText(part(made, "entry-ago"), ago(entry.at, Date.now()));
    return made;
  }
}
