// Follows the server's feed of changes and hands them to this and the other tabs. The visible tab
// that has the lock asks; the others listen. Where the feed was read to is stored (a place in it,
// nothing of what it says), so that a visit begins where the last one ended.

import * as api from './api.js';
import { NetworkError, Problem, net } from './http.js';
import { kept } from './place.js';
import { hear, lock, pause, tell } from './tabs.js';

const IDLE = 2000; // between requests that the server had no time to keep waiting

let user = null;
let apply = null;
let leading = null; // AbortController of this tab's turn
let failures = 0;
let reached = null; // the place, where the browser stores nothing

function place() {
	try {
		const { of, next } = JSON.parse(kept.get('since')) ?? reached;
		return of === user ? next : null;
	} catch {
		return null;
	}
}
function keep(next) {
	reached = next && { of: user, next };
	kept.set('since', next && JSON.stringify(reached));
}

function publish(message) {
	apply(message);
	tell('changes', { ...message, user });
}

async function ask(signal) {
	const since = place();
	try {
		const { changes, next, more, waited } = await api.changes(since, signal);
		if (signal.aborted) return;
		failures = 0;
		if (changes.length) publish({ changes });
		keep(next);
		if (!more && !changes.length && since && !waited) await pause(IDLE, signal);
	} catch (error) {
		if (signal.aborted) return;
		if (error.status === 410) {
			keep(null);
			publish({ changes: [], anew: true });
		} else if (error instanceof NetworkError || error instanceof Problem) {
			const wait = error.retryAfter ?? Math.min(30, 2 ** failures++);
			await pause(wait * 1000, signal);
		} else {
			throw error;
		}
	}
}

async function lead() {
	if (leading || !user || document.hidden || !navigator.onLine) return;
	const turn = (leading = new AbortController());
	try {
		await lock(
			'live',
			async () => {
				while (!turn.signal.aborted) await ask(turn.signal);
			},
			turn.signal,
		);
	} catch (error) {
		if (error.name !== 'AbortError') throw error;
	} finally {
		if (leading === turn) leading = null;
	}
}

function rest() {
	leading?.abort();
	leading = null;
}

export function follow(userId, hearer) {
	rest();
	user = userId;
	apply = hearer;
	lead();
}

// `wipe`: the next visit begins anew. After a session that ended by itself it goes on from here.
export function stop(wipe) {
	rest();
	if (wipe) keep(null);
	user = null;
}

const look = () => (document.hidden || !navigator.onLine ? rest() : lead());
document.addEventListener('visibilitychange', look);
addEventListener('online', look);
addEventListener('offline', look);
net.addEventListener('change', () => net.up && lead());

hear('changes', ({ user: whose, changes, anew }) => {
	if (whose === user) apply({ changes, anew });
});
