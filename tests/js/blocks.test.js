import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { closes, isVisible, lexed, openingFence, outdented, parted } from "../../static/js/lib/markdown/blocks.js";

/** Markdown as models write it, and as nobody should; the tests in the browser draw the same samples. */
const SAMPLES = JSON.parse(readFileSync(new URL("corpus.json", import.meta.url), "utf8"));

const raws = (tokens) => tokens.filter(isVisible).map((token) => token.raw.trimEnd());

for (const [i, sample] of SAMPLES.entries()) {
  test(`what is finished at any length stays as it is in the whole: sample ${i}`, () => {
    const text = sample.replace(/\r\n/g, "\n");
    const whole = raws(lexed(text));
    for (let end = 0; end <= text.length; end++) {
      const part = text.slice(0, end);
      const { finished, length } = parted(lexed(part), part);
      assert.deepEqual(raws(finished), whole.slice(0, finished.length), JSON.stringify(part));
      assert.equal(raws(lexed(text.slice(0, length))).length, finished.length);
    }
  });
}

test("reading on from where the finished part ends gives the rest of the blocks", () => {
  for (const sample of SAMPLES) {
    const text = sample.replace(/\r\n/g, "\n");
    const whole = raws(lexed(text));
    const { finished, length } = parted(lexed(text), text);
    assert.deepEqual([...raws(finished), ...raws(lexed(text.slice(length)))], whole);
  }
});

test("a lexer that gives up leaves the text as it was written", () => {
  const deep = "> ".repeat(20_000);
  const tokens = lexed(deep);
  assert.equal(tokens.map((token) => token.raw).join(""), deep);
});

for (const piece of ["_a", "*x", "**a", "[", "[x", "![", "> ", "`", "<", "&", "- x\n", "|a", "[a](b)"]) {
  test(`100,000 characters of ${JSON.stringify(piece)} are read in time`, { timeout: 2000 }, () => {
    const text = piece.repeat(100_000 / piece.length).trimEnd();
    const tokens = lexed(text);
    assert.equal(tokens.map((token) => token.raw).join(""), text);
  });
}

test("an opening fence is known by its marker, its language and where its lines begin", () => {
  assert.deepEqual(openingFence("```js title\nx"), { marker: "```", indent: 0, lang: "js title", body: 12 });
  assert.deepEqual(openingFence("\n  ~~~~\n"), { marker: "~~~~", indent: 2, lang: "", body: 8 });
  assert.equal(openingFence("```js"), null, "its first line is not complete");
  assert.equal(openingFence("``` a`b\n"), null);
  assert.equal(openingFence("text\n```\n"), null);
});

test("a fence is closed by its own marker and nothing else", () => {
  const fence = openingFence("````\n");
  assert.ok(closes(fence, "````") && closes(fence, "  ````` ") && closes(fence, "````~~"));
  assert.ok(!closes(fence, "```") && !closes(fence, "    ````") && !closes(fence, "```` x") && !closes(fence, "~~~~"));
});

test("lines of an indented fence lose as much indentation as it has", () => {
  const fence = openingFence("  ```\n");
  assert.deepEqual(
    ["    a", "  b", " c", "d"].map((line) => outdented(fence, line)),
    ["  a", "b", "c", "d"],
  );
});
