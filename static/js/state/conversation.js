/**
 * A conversation as a pure function of events: no page, no clock, no network. The page is its shadow.
 *
 * Invariant: only the last turn can be live, and text is only ever added to it. A turn that did not change keeps
 * its identity, so whoever draws it can compare with `===`.
 *
 * @typedef {{promptTokens: number, tokens: number, rate: number, firstMs: number, window: number}} Figures
 * @typedef {{code: string, message: string, retryAfter?: number}} Failure
 * @typedef {{position: number, wait?: number}} Queue  position 1 is the next one; `wait` is an estimate in seconds
 * @typedef {"waiting" | "thinking" | "writing" | "done" | "stopped" | "failed"} Phase
 * @typedef {object} Turn
 * @property {string} id
 * @property {"user" | "assistant"} role
 * @property {string} text
 * @property {string} [model]      assistant only, like all that follow
 * @property {string} [thinking]
 * @property {Phase} [phase]
 * @property {Queue} [queue]       its place in line, while it has one
 * @property {boolean} [truncated] the engine has not read the oldest turns
 * @property {number} [askedAt]    of a clock that does not jump, in ms; meaningless after a reload
 * @property {number} [thinkingAt]
 * @property {number} [thoughtMs]  how long it thought
 * @property {number} [firstMs]    from the question to the first token
 * @property {number} [lines]      how many pieces came, about one a token
 * @property {boolean} [seam]      the next text continues what had been cut off
 * @property {string} [ending]     the engine's word for why it ended
 * @property {Failure} [failure]
 * @property {Figures} [figures]
 * @typedef {{id: string, turns: readonly Turn[]}} Conversation
 */

export const CONTINUE = "Continue your last message exactly where it broke off. Do not repeat what is already written.";

/** @param {string} id @returns {Conversation} */
export const empty = (id) => ({ id, turns: [] });

/** @param {Turn | undefined} turn */
export const isLive = (turn) => ["waiting", "thinking", "writing"].includes(turn?.phase ?? "");

/** @param {Conversation} state */
export const lastTurn = (state) => state.turns.at(-1);

/** The first line of the first question, cut at a word. @param {Conversation} state */
export function titleOf(state) {
  const line = (state.turns[0]?.text ?? "").trim().split("\n", 1)[0];
  if (line.length <= 60) return line;
  return `${line.slice(0, 60).replace(/\s+\S*$/, "")}…`;
}

const answer = (id, model, at) => ({
  id,
  role: "assistant",
  text: "",
  thinking: "",
  model,
  phase: "waiting",
  askedAt: at,
});

const patched = (state, change) => {
  const turn = lastTurn(state);
  if (!isLive(turn)) return state;
  return { ...state, turns: [...state.turns.slice(0, -1), { ...turn, queue: undefined, ...change(turn) }] };
};

/** Two words that meet at a seam need the space that the engine's first token does not bring along. */
function joined(before, after) {
  const touching = /[\p{L}\p{N}]$/u.test(before) && /^[\p{L}\p{N}]/u.test(after);
  return before + (touching ? " " : "") + after;
}

function wrote(turn, event) {
  const model = turn.model || event.model || "";
  const seen = { model, firstMs: turn.firstMs ?? event.at - turn.askedAt, lines: (turn.lines ?? 0) + event.lines };
  const thinking = turn.thinking + event.thinking;
  if (!event.text) return { ...seen, phase: "thinking", thinking, thinkingAt: turn.thinkingAt ?? event.at };
  const thoughtMs = turn.thinkingAt === undefined ? turn.thoughtMs : (turn.thoughtMs ?? event.at - turn.thinkingAt);
  const text = turn.seam ? joined(turn.text, event.text) : turn.text + event.text;
  return { ...seen, phase: "writing", thinking, text, seam: false, thoughtMs };
}

const thoughtUntil = (turn, at) =>
  turn.phase === "thinking" && turn.thinkingAt !== undefined ? { thoughtMs: at - turn.thinkingAt } : {};

const ended = (phase) => (turn, event) => ({ phase, ...thoughtUntil(turn, event.at) });

/** @type {Record<string, (state: Conversation, event: any) => Conversation>} */
const HANDLERS = {
  asked: (state, { id, text, model, at, replaces }) => {
    const cut = replaces ? state.turns.findIndex((turn) => turn.id === replaces) : -1;
    const before = cut < 0 ? state.turns : state.turns.slice(0, cut);
    return { ...state, turns: [...before, { id: `${id}q`, role: "user", text }, answer(`${id}a`, model, at)] };
  },
  retried: (state, { id, model, at }) => {
    if (lastTurn(state)?.role !== "assistant" || isLive(lastTurn(state))) return state;
    return { ...state, turns: [...state.turns.slice(0, -1), answer(`${id}a`, model, at)] };
  },
  continued: (state, { model, at }) => {
    const turn = lastTurn(state);
    if (turn?.role !== "assistant" || isLive(turn)) return state;
    const { failure, figures, ending, firstMs, lines, thinkingAt, ...kept } = turn;
    const again = { ...kept, model, phase: "waiting", askedAt: at, seam: true };
    return { ...state, turns: [...state.turns.slice(0, -1), again] };
  },
  queued: (state, { position, wait }) =>
    patched(state, (turn) => (turn.phase === "waiting" ? { queue: { position, wait } } : {})),
  called: (state) => patched(state, () => ({})),
  truncated: (state) => patched(state, () => ({ truncated: true })),
  wrote: (state, event) => patched(state, (turn) => wrote(turn, event)),
  finished: (state, event) =>
    patched(state, (turn) => ({
      ...ended("done")(turn, event),
      ending: event.ending,
      figures: { ...event.figures, firstMs: turn.firstMs ?? event.at - turn.askedAt },
    })),
  failed: (state, event) => patched(state, (turn) => ({ ...ended("failed")(turn, event), failure: event.failure })),
  stopped: (state, event) => patched(state, (turn) => ended("stopped")(turn, event)),
};

/** @param {Conversation} state @param {{type: string}} event @returns {Conversation} */
export function next(state, event) {
  return HANDLERS[event.type](state, event);
}

/**
 * What a stored conversation is after its page was closed: an answer in the making has been cut off.
 * @param {Conversation} state
 */
export function restored(state) {
  const failure = { code: "page_closed", message: "" };
  return patched(state, () => ({ phase: "failed", failure }));
}

/**
 * The whole conversation as the engine wants it. Thinking is not sent again; an answer of which nothing was written
 * is left out; one that is being continued goes along with the request to go on.
 * @param {Conversation} state
 */
export function messagesOf(state) {
  const messages = state.turns
    .filter((turn) => turn.text !== "")
    .map((turn) => ({ role: turn.role, content: turn.text }));
  const turn = lastTurn(state);
  if (isLive(turn) && turn.text !== "") messages.push({ role: "user", content: CONTINUE });
  return messages;
}
