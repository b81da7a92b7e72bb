/**
 * Follows the end of a scrolled box, but only for a reader who is there. Whoever scrolled up stays where they are.
 */

const NEAR_PX = 48;

export class Follower {
  #box;
  #onChange;
  #following = true;
  #top = 0;

  /**
   * @param {HTMLElement} box what scrolls
   * @param {HTMLElement} content what grows in it
   * @param {(following: boolean) => void} onChange
   */
  constructor(box, content, onChange) {
    this.#box = box;
    this.#onChange = onChange;
    box.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    const observer = new ResizeObserver(() => this.settle());
    observer.observe(content);
    observer.observe(box);
  }

  get following() {
    return this.#following;
  }

  /** Goes to the end and stays there. */
  toEnd() {
    this.#set(true);
    this.settle();
  }

  /** To be called when the content has changed. */
  settle() {
    if (this.#following) this.#box.scrollTop = this.#box.scrollHeight;
    this.#top = this.#box.scrollTop;
  }

  get #distance() {
    return this.#box.scrollHeight - this.#box.clientHeight - this.#box.scrollTop;
  }

  /** Content that grew also widens the distance: only a movement upwards is the reader's. */
  #scrolled() {
    const up = this.#box.scrollTop < this.#top - 1;
    this.#top = this.#box.scrollTop;
    if (up) this.#set(this.#distance <= 2);
    else if (this.#distance <= NEAR_PX) this.#set(true);
  }

  #set(following) {
    if (following === this.#following) return;
    this.#following = following;
    this.#onChange(following);
  }
}
