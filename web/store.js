// The tasks that this page knows. What the server has said is one half, the operations of the
// outbox are the other; what is shown is the first with the second on top of it. So an operation
// shows at once, and when the server refuses it what was there before is there again.

import * as api from './api.js';
import { NetworkError, net } from './http.js';
import * as live from './live.js';
import * as outbox from './outbox.js';
import { byId, comparer, matches, params } from './query.js';
import { tell, hear } from './tabs.js';
import { today } from './when.js';

const PAGE = 50;
const MEMBERS = ['title', 'description', 'completed', 'priority', 'due_date', 'tags'];

const known = new Map();
const gone = new Map(); // id: the version with which it was deleted
let user = null;
let list = null;
export let numbers = null;
const hearers = { change: [], refused: [] };

export const on = (what, hearer) => hearers[what].push(hearer);
let countedOn = null; // a day
let planned = false;
function changed() {
	if (planned) return;
	planned = true;
	queueMicrotask(() => {
		planned = false;
		hearers.change.forEach((hearer) => hearer());
	});
}

// --- what the server says ---

function learn(task) {
	const seen = Math.max(known.get(task.id)?.version ?? 0, gone.get(task.id) ?? 0);
	if (task.version <= seen) return;
	if (task.deleted || task.deleted_at) {
		known.delete(task.id);
		gone.set(task.id, task.version);
	} else {
		gone.delete(task.id);
		known.set(task.id, task);
	}
}

function heard({ changes, anew }) {
	changes.forEach(learn);
	if (anew) {
		known.clear();
		gone.clear();
		if (list) load(list);
	} else if (list?.query.q) {
		searchAgain();
	}
	if (changes.length || anew) count();
	changed();
}

const timers = {};
function soon(what, work, ms) {
	clearTimeout(timers[what]);
	timers[what] = setTimeout(work, ms);
}
const searchAgain = () => soon('search', () => list && load(list), 700);

function count() {
	countedOn = today();
	soon(
		'count',
		async () => {
			const whose = user;
			try {
				const next = await api.stats(today());
				if (user === whose) numbers = next;
				changed();
			} catch {
				// the numbers stay as they were
			}
		},
		250,
	);
}

// --- what is shown ---

const blank = {
	description: null,
	completed: false,
	completed_at: null,
	priority: 'none',
	due_date: null,
	tags: [],
	version: 0,
};

function over(task, op) {
	switch (op.kind) {
		case 'create':
			return (
				task ?? {
					...blank,
					...op.data,
					id: op.id,
					created_at: op.at,
					updated_at: op.at,
				}
			);
		case 'change': // after a visit without a network, only the operation knows the task
			return { ...(task ?? op.task), ...op.data };
		case 'delete':
			return null;
		case 'restore':
			return task ?? op.task;
	}
}

function shown(id, ops = outbox.pending()) {
	return ops.filter((op) => op.id === id).reduce(over, known.get(id) ?? null);
}
export const task = (id) => shown(id);

// The tasks of the open list: all that match, as far down as the server's pages reach. `places`
// says where in these pages a task was.
export function rows() {
	if (!list) return [];
	const { query, last, places } = list;
	const ops = outbox.pending();
	const touched = new Set(ops.map(({ id }) => id));
	const all = [...known.values()].filter(({ id }) => !touched.has(id));
	for (const id of touched) all.push(shown(id, ops));
	const compare = comparer(query.sort);
	const compareIds = byId(query.sort);
	const isNew = (id) => ops.some((op) => op.id === id && op.kind === 'create');
	const within = (each) => compare(each, last) < (places.has(each.id) ? 1 : 0);
	return all
		.filter((each) => each && matches(query, each))
		.filter(({ id }) => !query.q || places.has(id) || isNew(id))
		.filter((each) => !last || within(each))
		.sort(
			(a, b) =>
				compare(a, b) ||
				places.get(a.id) - places.get(b.id) ||
				compareIds(a, b),
		);
}

export const view = () => list;

// --- lists ---

async function load(which, more = false) {
	which.request?.abort();
	const request = (which.request = new AbortController());
	which.error = null;
	which.loading = true;
	changed();
	try {
		const before = more ? rows().length : 0;
		let cursor = more ? which.cursor : null;
		const places = new Map(more ? which.places : []);
		for (;;) {
			const query = { ...params(which.query), limit: PAGE, cursor };
			const page = await api.listTasks(query, request.signal);
			if (list !== which || request.signal.aborted) return;
			page.items.forEach(learn);
			page.items.forEach(({ id }) => places.set(id, places.size));
			cursor = page.cursor;
			Object.assign(which, {
				places,
				cursor,
				last: cursor ? page.items.at(-1) : null,
			});
			if (!cursor || rows().length > before) break;
		}
		which.ready = true;
	} catch (error) {
		if (list !== which || request.signal.aborted) return;
		which.error = error;
	}
	which.loading = false;
	changed();
}

export function open(query) {
	clearTimeout(timers.search);
	if (countedOn !== today()) count();
	list?.request?.abort();
	list = { query, places: new Map(), cursor: null, last: null, ready: false };
	return load(list);
}
export const loadMore = () => (list.loading ? null : load(list, true));
export const reload = () => list && load(list);

// A task that no list has shown yet.
export async function fetchTask(id) {
	const here = shown(id);
	if (here) return here;
	learn(await api.getTask(id));
	changed();
	return shown(id);
}

// --- changing ---

const pick = (object, keys) => Object.fromEntries(keys.map((key) => [key, object[key]]));
const newest = () =>
	[...known.values()].reduce((most, { created_at: at }) => (at > most ? at : most), '');

function uuid() {
	const bytes = crypto.getRandomValues(new Uint8Array(16));
	bytes[6] = (bytes[6] & 0x0f) | 0x40;
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
	return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
}

// The last title first, so that newest first shows them in the order in which they were typed.
export function add(titles, preset) {
	const least = newest();
	for (const title of [...titles].reverse()) {
		const now = new Date().toISOString();
		const at = now > least ? now : least;
		outbox.add({
			kind: 'create',
			id: uuid(),
			key: uuid(),
			at,
			data: { ...preset, title },
		});
	}
}

// `from` is the task as the person saw it when the change began. Answers with what undoes it.
export function change(id, patch, from = shown(id)) {
	if (!from) return null; // deleted meanwhile
	const keys = Object.keys(patch).filter((key) => !outbox.same(patch[key], from[key]));
	if (!keys.length) return null;
	const op = outbox.add({
		kind: 'change',
		id,
		data: pick(patch, keys),
		base: pick(from, keys),
		version: from.version,
		task: from,
	});
	return () => outbox.withdraw(op.seq) || change(id, pick(from, keys));
}

export function remove(id) {
	const from = shown(id);
	const op = outbox.add({
		kind: 'delete',
		id,
		base: pick(from, MEMBERS),
		version: from.version,
		task: from,
	});
	return () => outbox.withdraw(op.seq) || outbox.add({ kind: 'restore', id, task: from });
}

export const restore = (deleted) => outbox.add({ kind: 'restore', id: deleted.id, task: deleted });

// Those that were cleared together were deleted at one moment: that finds them again in the trash.
async function clearedAt(stamp) {
	const ids = [];
	let cursor = null;
	do {
		const page = await api.listTrash({ limit: 1000, cursor });
		ids.push(
			...page.items
				.filter((each) => each.deleted_at === stamp)
				.map(({ id }) => id),
		);
		cursor = page.items.at(-1)?.deleted_at >= stamp ? page.cursor : null;
	} while (cursor);
	return ids;
}

async function bringBack(stamp) {
	const ids = await clearedAt(stamp);
	for (let i = 0; i < ids.length; i += 100) {
		const operations = ids.slice(i, i + 100).map((id) => ({ op: 'restore', id }));
		const { items } = await api.batch(operations);
		heard({ changes: items.flatMap((item) => item.task ?? []) });
	}
	reload();
}

export async function clearCompleted() {
	if (net.offline || outbox.waiting()) throw new NetworkError('not while changes wait');
	const { deleted } = await api.clearCompleted();
	const { items } = await api.listTrash({ limit: 1 });
	for (const each of known.values()) if (each.completed) known.delete(each.id);
	tell('cleared', { user });
	count();
	changed();
	return { deleted, undo: deleted ? () => bringBack(items[0].deleted_at) : null };
}
hear('cleared', ({ user: whose }) => {
	if (whose !== user) return;
	for (const each of known.values()) if (each.completed) known.delete(each.id);
	changed();
});

// --- beginning and end ---

export async function begin(userId) {
	user = userId;
	await outbox.open(userId, {
		settled(op, task) {
			if (task) learn(task);
			else (gone.set(op.id, known.get(op.id)?.version ?? 0), known.delete(op.id));
			count();
			changed();
		},
		refused: (op, error) => hearers.refused.forEach((hearer) => hearer(op, error)),
		changed,
	});
	follow();
	count();
}

// Also when the session is another one: a request that waits is of the former.
export function follow() {
	if (user) live.follow(user, heard);
}

// `wipe`: the person has logged out, so what was not sent goes as well.
export function end(wipe) {
	list?.request?.abort();
	Object.values(timers).forEach(clearTimeout);
	user = list = numbers = null;
	known.clear();
	gone.clear();
	live.stop(wipe);
	return outbox.close(wipe);
}

net.addEventListener('change', () => navigator.onLine && list?.error && load(list));
