/**
 * Text that is still growing, as blocks: which are finished for good, and which may still change. Pure; only the lexer
 * of marked is used, never its parser, which would make markup.
 */

import { Lexer } from "../../../vendor/marked@18.2.1/marked.esm.js";

/**
 * @typedef {import("../../../vendor/marked@18.2.1/marked.esm.js").Token & Record<string, any>} Token
 * @typedef {{marker: string, indent: number, lang: string, body: number}} Fence `body` is where its first line begins
 */

const OPTIONS = { gfm: true, breaks: false, pedantic: false, silent: true };
const FENCE = /^\n*( {0,3})(`{3,}|~{3,})([^\n]*)\n/;

/**
 * Emphasis costs marked time that grows with the square of a paragraph: 100,000 characters of `_a` take six seconds.
 * What is longer than this stands without emphasis, links and code; nobody writes such paragraphs to be read.
 */
const LONGEST_PARAGRAPH = 8000;

class BoundedLexer extends Lexer {
  inlineTokens(source, tokens = []) {
    if (source.length <= LONGEST_PARAGRAPH) return super.inlineTokens(source, tokens);
    tokens.push({ type: "text", raw: source, text: source, escaped: false });
    return tokens;
  }
}

/** @param {string} text @returns {Token[]} */
export function lexed(text) {
  try {
    return new BoundedLexer(OPTIONS).lex(text);
  } catch {
    // Thousands of nested quotes exhaust the lexer's stack: then the text stands as it was written.
    return [{ type: "html", raw: text, text }];
  }
}

export const isVisible = (token) => token.type !== "space" && token.type !== "def";

/**
 * How much of the text will never change, whatever comes after it: everything before the last block that has at least
 * one whole line. Half a line may still turn out to belong to the block before it.
 * @param {Token[]} tokens of the text
 * @param {string} text
 * @returns {{finished: Token[], open: Token[], length: number}} `length` in characters of the finished part
 */
export function parted(tokens, text) {
  const lineStart = text.lastIndexOf("\n") + 1;
  let [cut, length, at] = [0, 0, 0];
  tokens.forEach((token, i) => {
    if (isVisible(token) && at < lineStart) [cut, length] = [i, at];
    at += token.raw.length;
  });
  // A lexer that drops or adds characters cannot tell where its blocks are.
  if (at !== text.length) return { finished: [], open: tokens.filter(isVisible), length: 0 };
  return { finished: tokens.slice(0, cut).filter(isVisible), open: tokens.slice(cut).filter(isVisible), length };
}

/**
 * The fence a text begins with, if it is one at its very start.
 * @param {string} text
 * @returns {Fence | null}
 */
export function openingFence(text) {
  const match = FENCE.exec(text);
  if (!match) return null;
  const [whole, indent, marker, info] = match;
  if (marker[0] === "`" && info.includes("`")) return null;
  return { marker, indent: indent.length, lang: info.trim(), body: whole.length };
}

/** Whether a line closes a fence, by the same rule as the lexer's. @param {Fence} fence @param {string} line */
export function closes(fence, line) {
  const mark = line.replace(/^ {0,3}/, "");
  return mark.startsWith(fence.marker) && /^[`~]* *$/.test(mark.slice(fence.marker.length));
}

/** Whether half a line may become the one that closes a fence. @param {Fence} fence @param {string} part */
export function mayClose(fence, part) {
  const mark = part.replace(/^ {0,3}/, "");
  return fence.marker.startsWith(mark) || closes(fence, part);
}

/** A line inside a fence loses as much indentation as the fence has. @param {Fence} fence @param {string} line */
export const outdented = (fence, line) =>
  fence.indent === 0 ? line : line.replace(new RegExp(`^ {0,${fence.indent}}`), "");
