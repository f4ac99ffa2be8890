/** Who is in a space and what goes on there, as the sum of its events. Pure: a roster is never changed, only replaced. */

/**
 * @typedef {object} Participant
 * @property {string} identity
 * @property {string} name
 * @property {"host" | "cohost" | "speaker" | "listener"} role
 * @property {boolean} is_muted by a moderator
 * @property {boolean} is_speaking
 * @property {boolean} is_connected
 * @property {number} level_dbov
 * @property {boolean} has_raised_hand
 * @property {string} joined_at
 *
 * @typedef {object} Roster
 * @property {object | null} space as in `GET /v1/spaces/{space}`; null before the first snapshot
 * @property {{identity: string, role: string, is_muted: boolean} | null} you
 * @property {ReadonlyMap<string, Participant>} participants those on stage, moderators, and raised hands
 * @property {{speakers: number, listeners: number}} counts
 * @property {ReadonlyMap<string, number>} levels dBov of those who are heard now
 * @property {readonly string[]} hands identities, first raised first
 */

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
  };
}

/** Our own entry carries the live role, which a token alone did not tell the server before our session stood. */
const withYou = (roster, { identity, role, is_muted }) =>
  roster.you?.identity === identity ? { ...roster, you: { identity, role, is_muted } } : roster;

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

/** What each type of event does to a roster; a type that is not here changes nothing (newer servers say more). */
const STEPS = {
  snapshot: (roster, data) => {
    const start = { ...emptyRoster(), space: data.space, you: data.you, counts: data.space.counts ?? roster.counts };
    const known = { ...start, hands: roster.hands.filter((hand) => data.participants.some((one) => one.identity === hand)) };
    return data.participants.reduce(withParticipant, known);
  },
  "participant.joined": withParticipant,
  "participant.changed": withParticipant,
  "participant.left": (roster, data) => withoutParticipant(roster, data.identity),
  counts: (roster, data) => ({ ...roster, counts: { speakers: data.speakers, listeners: data.listeners } }),
  "speakers.changed": (roster, data) => ({
    ...roster,
    levels: new Map(data.speakers.map(({ identity, level_dbov }) => [identity, level_dbov])),
  }),
  "space.changed": (roster, data) => ({ ...roster, space: { ...roster.space, ...data } }),
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
