// Who is logged in. The access token lives in this variable and nowhere else; the refresh token is
// a cookie that no script can read. What is stored is the user's id alone: it says that there may
// be something to refresh, so that a stranger's first visit asks for nothing.

import { NetworkError, Problem, send } from './http.js';
import { kept, named } from './place.js';
import { hear, lock, pause, tell } from './tabs.js';

const ENDING = 'ending'; // logged out here while the server could not be told
const SOON = [408, 429]; // refusals that say nothing of the session

let state = null; // { token, until, early, user }
let user = null;
let era = 0; // grows with each log-out: what was asked for before is not taken afterwards
let going = null;
let timer = 0;
const hearers = [];

export const current = () => user;
export const onChange = (hearer) => hearers.push(hearer);
const changed = (what) => hearers.forEach((hearer) => hearer(what));

const fresh = () => state !== null && Date.now() < state.until - state.early;

function take(next) {
	const before = user;
	if (before && before.id !== next.user.id) {
		location.reload(); // somebody else logged in: nothing of the former may stay
		return;
	}
	state = next;
	user = next.user;
	clearTimeout(timer);
	timer = setTimeout(inTime, Math.max(1000, state.until - state.early - Date.now()));
	changed(before ? 'token' : 'in');
}

function adopt(data) {
	const life = data.expires_in * 1000;
	const next = {
		token: data.access_token,
		until: Date.now() + life,
		early: Math.min(60000, life / 5),
		user: data.user,
	};
	kept.set('session', data.user.id);
	take(next);
	tell('token', { state: next });
}

function leave(why) {
	era++;
	clearTimeout(timer);
	state = null;
	if (!user) return;
	user = null;
	changed(why);
}

// --- refreshing ---

// A hidden tab waits until it needs a token.
function inTime() {
	if (state && !fresh() && !document.hidden) refresh().catch(() => {});
}
document.addEventListener('visibilitychange', inTime);

// One request for all tabs: whoever had to wait for the lock first looks whether the other tab's
// token has arrived.
async function askInTurn() {
	const began = era;
	const stale = state?.token;
	return lock('refresh', async (waited) => {
		for (let i = 0; waited && i < 10 && (!fresh() || state.token === stale); i++)
			await pause(20);
		if (era !== began) throw new Problem(401, { code: 'session_ended' });
		if (fresh() && state.token !== stale) return state.token;
		try {
			const { data } = await send('POST', 'auth/refresh');
			// The log-out of another tab may be known here before it has been heard of.
			if (era !== began || kept.get('session') === ENDING)
				throw new Problem(401, { code: 'session_ended' });
			adopt(data);
			return state.token;
		} catch (error) {
			const refused = error.status === 401 || error.status === 403;
			if (refused && era === began && kept.get('session') !== ENDING) ended();
			throw error;
		}
	});
}

const refresh = () => (going ??= askInTurn().finally(() => (going = null)));

// A token to send; `stale` is one that the server has just refused.
export async function bearer(stale) {
	if (fresh() && state.token !== stale) return state.token;
	if (!user) throw new Problem(401, { code: 'session_ended' });
	return refresh();
}

// --- in and out ---

// True when somebody is logged in: also while the server is out of reach, and then only the id is
// known.
export async function start() {
	const id = kept.get('session');
	if (id === ENDING) finishLate();
	if (!id || id === ENDING) return false;
	try {
		await refresh();
	} catch (error) {
		const { status } = error;
		if (error instanceof Problem && status < 500 && !SOON.includes(status)) {
			if (kept.get('session') === id) kept.set('session', null);
			return false;
		}
		user = { id, email: '', name: null };
		changed('in');
	}
	return true;
}

// In turn with refreshing and log-out: the cookie of the new session has to come last.
const enter = (path, form) =>
	lock('refresh', async () => {
		if (kept.get('session') === ENDING) await finish();
		const { data } = await send('POST', path, { body: { ...form, cookie: true } });
		adopt(data);
	});
export const login = (form) => enter('auth/login', form);
export const register = (form) => enter('auth/register', form);

// A changed password or e-mail comes with another token or user.
export function renew(data) {
	adopt(data);
	changed('renewed');
}
export function setUser(next) {
	take({ ...state, user: next });
	tell('token', { state });
}

function ended() {
	kept.set('session', null);
	leave('ended');
	tell('out', { why: 'ended' });
}

export function logout() {
	const token = state?.token;
	kept.set('session', ENDING);
	leave('out');
	tell('out', { why: 'out' });
	return lock('refresh', () => finish(token));
}

// The account is gone, and its cookie with it.
export function forget() {
	kept.set('session', null);
	leave('deleted');
	tell('out', { why: 'out' });
}

async function finish(token) {
	try {
		const headers = token ? { authorization: `Bearer ${token}` } : {};
		await send('POST', 'auth/logout', { headers });
	} catch (error) {
		// It is tried again when there is a network.
		if (error instanceof NetworkError || error.status >= 500) return;
	}
	if (kept.get('session') === ENDING) kept.set('session', null);
}

const finishLate = () => lock('refresh', () => kept.get('session') === ENDING && finish());

hear('token', ({ state: next }) => {
	if (kept.get('session') === next.user.id) take(next);
});
hear('out', ({ why }) => leave(why));
addEventListener('storage', ({ key, newValue }) => {
	if (key !== named('session')) return;
	if (newValue === null) leave('ended');
	if (newValue === ENDING) leave('out');
});
addEventListener('online', finishLate);
