/**
 * The keyboard of a phone covers the page without telling it: where the browser does not shrink the page by itself, the
 * height that is really seen is handed to the style.
 */

const KEYBOARD_PX = 100;

/** @param {HTMLElement} root gets `--seen` while a keyboard covers part of it */
export function followKeyboard(root) {
  const seen = globalThis.visualViewport;
  seen?.addEventListener("resize", () => {
    const covered = seen.scale === 1 && innerHeight - seen.height > KEYBOARD_PX;
    if (covered) root.style.setProperty("--seen", `${seen.height}px`);
    else root.style.removeProperty("--seen");
    if (covered) scrollTo(0, 0);
  });
}
