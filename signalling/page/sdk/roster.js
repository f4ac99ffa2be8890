/** Who is in a space and what goes on there, as the sum of its events. Pure: a roster is never changed, only replaced. */

/**
 * @typedef {object} Participant
 * @property {string} identity
 * @property {string} name
 * @property {"host" | "cohost" | "speaker" | "listener"} role
 * @property {boolean} is_muted by a moderator, who alone can lift it
 * @property {boolean} is_self_muted by themselves
 * @property {boolean} is_speaking
 * @property {boolean} is_connected
 * @property {number} level_dbov
 * @property {boolean} has_raised_hand
 * @property {boolean} is_invited to speak, and has not answered yet
 * @property {string} joined_at
 *
 * @typedef {object} You
 * @property {string} identity
 * @property {"host" | "cohost" | "speaker" | "listener"} role
 * @property {boolean} is_muted
 * @property {boolean} is_self_muted
 * @property {boolean} is_invited
 * @property {boolean} is_followed whether the host follows us
 * @property {string[]} blocked_on_stage people whom we block and who speak here
 *
 * @typedef {{id: string, url: string, title: string | null, added_by: string, added_at: string}} Link pinned by a host or speaker
 *
 * @typedef {{identity: string | null, text: string, is_final: boolean, language: string | null}} Caption
 *
 * @typedef {object} Roster
 * @property {object | null} space as in `GET /v1/spaces/{space}`; null before the first snapshot
 * @property {You | null} you
 * @property {ReadonlyMap<string, Participant>} participants those on stage, moderators, and raised hands
 * @property {{speakers: number, listeners: number}} counts
 * @property {ReadonlyMap<string, number>} levels dBov of those who are heard now
 * @property {readonly string[]} hands identities, first raised first
 * @property {readonly Link[]} links
 * @property {readonly Caption[]} captions the last lines, oldest first; at the end those that are still being spoken
 */

const CAPTIONS_KEPT = 5;
const STAGE_ROLES = new Map([["host", 0], ["cohost", 1], ["speaker", 2]]);

/** @returns {Roster} */
export function emptyRoster() {
  return {
    space: null,
    you: null,
    participants: new Map(),
    counts: { speakers: 0, listeners: 0 },
    levels: new Map(),
    hands: [],
    links: [],
    captions: [],
  };
}

/** Our own entry carries the live role, which a token alone did not tell the server before our session stood. */
const withYou = (roster, { identity, role, is_muted, is_self_muted }) =>
  roster.you?.identity === identity ? { ...roster, you: { ...roster.you, role, is_muted, is_self_muted } } : roster;

/** The audience is counted, not listed: only a raised hand brings a listener into the roster, as on the server. */
const withParticipant = (before, participant) => {
  const roster = withYou(before, participant);
  if (participant.role === "listener" && !participant.has_raised_hand) return withoutParticipant(roster, participant.identity);
  const participants = new Map(roster.participants).set(participant.identity, participant);
  const others = roster.hands.filter((identity) => identity !== participant.identity);
  const isQueued = others.length < roster.hands.length;
  if (!participant.has_raised_hand) return { ...roster, participants, hands: others };
  return { ...roster, participants, hands: isQueued ? roster.hands : [...others, participant.identity] };
};

const withoutParticipant = (roster, identity) => {
  const participants = new Map(roster.participants);
  participants.delete(identity);
  const levels = new Map(roster.levels);
  levels.delete(identity);
  return { ...roster, participants, levels, hands: roster.hands.filter((hand) => hand !== identity) };
};

/** A line that is still being spoken is replaced by the next of the same mouth, until one is final. */
const withCaption = (roster, caption) => {
  const others = roster.captions.filter(({ is_final, identity }) => is_final || identity !== caption.identity);
  const finished = others.filter(({ is_final }) => is_final);
  const open = others.filter(({ is_final }) => !is_final);
  const captions = caption.is_final ? [...finished, caption, ...open] : [...finished, ...open, caption];
  return { ...roster, captions: captions.slice(-CAPTIONS_KEPT) };
};

const withSpace = (roster, data) => ({ ...roster, space: { ...roster.space, ...data } });

/** What each type of event does to a roster; a type that is not here changes nothing (newer servers say more). */
const STEPS = {
  snapshot: (roster, data) => {
    const start = { ...emptyRoster(), space: data.space, you: data.you, counts: data.space.counts ?? roster.counts };
    const shown = { ...start, links: data.links ?? [], captions: data.captions ?? [] };
    const known = { ...shown, hands: roster.hands.filter((hand) => data.participants.some((one) => one.identity === hand)) };
    return data.participants.reduce(withParticipant, known);
  },
  "participant.joined": withParticipant,
  "participant.changed": withParticipant,
  "participant.left": (roster, data) => withoutParticipant(roster, data.identity),
  "participants.changed": (roster, data) =>
    data.participants.reduce(withParticipant, data.left.reduce(withoutParticipant, roster)),
  "links.changed": (roster, data) => ({ ...roster, links: data.links }),
  caption: withCaption,
  counts: (roster, data) => ({ ...roster, counts: { speakers: data.speakers, listeners: data.listeners } }),
  "speakers.changed": (roster, data) => ({
    ...roster,
    levels: new Map(data.speakers.map(({ identity, level_dbov }) => [identity, level_dbov])),
  }),
  "space.changed": withSpace,
  "space.started": withSpace,
  "space.cancelled": withSpace,
  "space.ended": (roster, data) => ({ ...roster, space: { ...roster.space, ...data, state: "ended" } }),
  "you.changed": (roster, data) => ({ ...roster, you: { ...roster.you, ...data } }),
};

/**
 * The roster after one event.
 *
 * @param {Roster} roster
 * @param {import("./feed.js").Envelope} envelope
 * @returns {Roster}
 */
export function apply(roster, { type, data }) {
  const step = Object.hasOwn(STEPS, type) ? STEPS[type] : null;
  return step ? step(roster, data) : roster;
}

/** @param {Roster} roster @returns {Participant[]} those on stage: host, cohosts, speakers, each in the order of joining */
export function onStage(roster) {
  return [...roster.participants.values()]
    .filter(({ role }) => STAGE_ROLES.has(role))
    .sort((a, b) => STAGE_ROLES.get(a.role) - STAGE_ROLES.get(b.role) || a.joined_at.localeCompare(b.joined_at));
}

/** @param {Roster} roster @returns {Participant[]} those of the audience who ask to speak, first come first */
export function raisedHands(roster) {
  return roster.hands.map((identity) => roster.participants.get(identity)).filter(Boolean);
}

/** @param {string | undefined} role */
export function mayModerate(role) {
  return role === "host" || role === "cohost";
}

/** @param {Roster} roster @returns {boolean} whether the stage is open to us without asking (unless a host sent us back) */
export function mayStepUp({ space, you }) {
  if (you?.role !== "listener") return false;
  return space?.speak === "everyone" || (space?.speak === "followed" && you.is_followed);
}
