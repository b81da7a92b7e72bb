/** Chance that repeats: the same seed gives the same sequence, so a failure can be looked at again. */

/** @param {number} seed @returns {(below: number) => number} whole numbers from 0 */
export function createRandom(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Cuts anything that has `slice` and `length` into pieces of random size. */
export function cut(whole, random, longest = 7) {
  const pieces = [];
  for (let at = 0; at < whole.length; ) {
    const size = 1 + random(longest);
    pieces.push(whole.slice(at, at + size));
    at += size;
  }
  return pieces;
}
