// All that is changed goes through here: an operation is noted, shown at once, kept in IndexedDB
// until the server has it, and sent in order. An operation carries the idempotency key, or the
// version that it was made on, so that sending it twice does it once and nobody's change is lost
// unasked.
//
// An operation: { seq, user, kind, id, key, data, base, version, task, theirs }
//   kind    create, change, delete or restore
//   data    of create the task, of change the members that change
//   base    what the members were that it changes (of delete: all)
//   task    as it was before (but of create)
//   theirs  of a conflict, the task as the server has it, or { deleted: true }

import * as api from './api.js';
import { NetworkError, Problem, net } from './http.js';
import { named } from './place.js';
import { hear, lock, tell } from './tabs.js';

let db = null;
let user = null;
let ops = []; // this user's, in order; what is in the database may be newer for a moment
let running = false;
let again = false;
const unkept = new Set(); // what the database did not take
const untried = new Set(); // noted here and never sent by this tab: these can be taken back
let failures = 0;
let timer = 0;
let on = {}; // settled(op, task), refused(op, error), changed()

export const pending = () => ops;
export const conflict = () => ops.find((op) => op.theirs) ?? null;
export const waiting = () => ops.length;
export const wouldBeLost = () => ops.some(({ seq }) => unkept.has(seq));

// --- the database; where there is none, memory has to do ---

const done = (request) =>
	new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});

async function openDatabase() {
	try {
		const request = indexedDB.open(named('outbox'), 1);
		request.onupgradeneeded = () =>
			request.result.createObjectStore('ops', { keyPath: 'seq' });
		db = await done(request);
		db.onversionchange = () => db.close();
	} catch {
		db = null;
	}
}

const table = (mode) => db.transaction('ops', mode).objectStore('ops');
const readAll = async () => (db ? done(table('readonly').getAll()) : []);

// A full disk shows only when the transaction ends.
async function write(op) {
	try {
		const { transaction } = table('readwrite').put(op);
		await new Promise((resolve, reject) => {
			transaction.oncomplete = resolve;
			transaction.onabort = () => reject(transaction.error);
		});
		unkept.delete(op.seq);
	} catch {
		unkept.add(op.seq);
	}
}

async function erase(seq) {
	unkept.delete(seq);
	try {
		await done(table('readwrite').delete(seq));
	} catch {
		// it was never there
	}
}

// Whether it is still to be sent, and as what: another tab may have done it.
async function latest(op) {
	try {
		const kept = await done(table('readonly').get(op.seq));
		return kept ?? (unkept.has(op.seq) ? op : null);
	} catch {
		return op;
	}
}

// --- what is in it ---

function note(op) {
	ops = [...ops.filter(({ seq }) => seq !== op.seq), op].sort((a, b) => a.seq - b.seq);
}
function forget(seq) {
	ops = ops.filter((op) => op.seq !== seq);
}

function save(op) {
	note(op);
	write(op);
	tell('op', { op });
	on.changed();
}

function strike(op, settled) {
	forget(op.seq);
	erase(op.seq);
	tell('op-done', { op, settled });
}

export function add(op) {
	const last = ops.at(-1)?.seq ?? 0;
	op = {
		...op,
		user,
		seq: Math.max(last + 1, Date.now() * 1000 + Math.floor(Math.random() * 1000)),
	};
	untried.add(op.seq);
	save(op);
	run();
	return op;
}

// Takes back what has not been sent: without a network, say.
export function withdraw(seq) {
	const op = ops.find((each) => each.seq === seq);
	if (!op || running || !untried.has(seq)) return false;
	strike(op, null);
	on.changed();
	return true;
}

export async function open(userId, handlers) {
	user = userId;
	on = handlers;
	if (!db) await openDatabase();
	const found = await readAll().catch(() => []);
	if (user !== userId) return;
	for (const op of found) if (op.user === user) note(op);
	on.changed();
	run();
}

// `wipe`, at the log-out: nothing of this user's stays on the device. After a session that ended by
// itself it waits for the next login.
export async function close(wipe) {
	const whose = user;
	clearTimeout(timer);
	ops = [];
	user = null;
	failures = 0;
	untried.clear();
	if (!wipe) return;
	const found = await readAll().catch(() => []);
	await Promise.all(found.filter((op) => op.user === whose).map((op) => erase(op.seq)));
}

// --- the three-way look at a change that meets another ---

export const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

// Members in which both sides went different ways since `base`.
export function clash(op, theirs) {
	const wanted = op.kind === 'delete' ? {} : op.data;
	return Object.keys(op.base).filter(
		(key) =>
			!same(theirs[key], op.base[key]) &&
			!(key in wanted && same(theirs[key], wanted[key])),
	);
}

// After one of ours has been carried out: the next one was made on top of it.
function moveOn(op, task) {
	for (const later of ops) {
		if (later.id !== op.id || later.seq <= op.seq || !later.base || later.theirs)
			continue;
		const base = { ...later.base };
		for (const key of Object.keys(op.data ?? {})) {
			if (key in base && same(base[key], op.data[key])) base[key] = task[key];
		}
		const clear = Object.keys(base).every((key) => same(base[key], task[key]));
		save({
			...later,
			base,
			version: clear ? task.version : later.version || task.version,
		});
	}
}

// `task` as the server answered; null: it is deleted
function settle(op, task) {
	strike(op, { task });
	if (task && op.kind !== 'delete') moveOn(op, task);
	on.settled(op, task);
}

function refuse(op, error) {
	strike(op, null);
	// What was to be done with a task that was never made can only fail too.
	if (op.kind === 'create')
		ops.filter(({ id }) => id === op.id).forEach((each) => strike(each, null));
	on.refused(op, error);
}

// --- sending ---

async function perform(op) {
	switch (op.kind) {
		case 'create':
			return api.createTask({ ...op.data, id: op.id }, op.key);
		case 'change':
			if (op.revive) {
				const task = await api.restoreTask(op.id);
				op = { ...op, revive: false, version: task.version };
				save(op);
			}
			return api.changeTask(op.id, op.data, op.version);
		case 'delete':
			return api.deleteTask(op.id, op.version);
		case 'restore':
			return api.restoreTask(op.id);
	}
}

// What is not thrown is dealt with, and sending goes on.
function dealWith(op, error) {
	if (!(error instanceof Problem)) throw error;
	const { status, current } = error;
	if (status === 412 && current) {
		const open = clash(op, current);
		const todo =
			op.kind === 'delete' ||
			Object.keys(op.data).some((key) => !same(current[key], op.data[key]));
		if (!todo) settle(op, current);
		else if (open.length === 0) save({ ...op, version: current.version });
		else save({ ...op, theirs: current });
	} else if (status === 409 && op.kind === 'create') {
		settle(op, current);
	} else if (status === 404 && op.kind === 'delete') {
		settle(op, null);
	} else if (status === 404 && op.kind === 'change' && !op.revive) {
		save({ ...op, theirs: { deleted: true } });
	} else if (status === 401 || status === 408 || status === 429 || status >= 500) {
		throw error;
	} else {
		refuse(op, error);
	}
}

// The first that does not stand behind a conflict about the same task.
const next = () =>
	ops.find(
		(op) =>
			!op.theirs &&
			!ops.some((o) => o.theirs && o.id === op.id && o.seq < op.seq),
	);

async function sendAll() {
	for (let op = next(); op && user; op = next()) {
		const here = await latest(op);
		if (!here) {
			forget(op.seq);
			continue;
		}
		if (user !== op.user) return;
		untried.delete(op.seq);
		try {
			const task = await perform(here);
			if (user !== op.user) return;
			settle(here, task);
			failures = 0;
		} catch (error) {
			if (user !== op.user) return;
			dealWith(ops.find(({ seq }) => seq === op.seq) ?? here, error);
		}
	}
}

function later(error) {
	failures++;
	clearTimeout(timer);
	if (error.status === 401) return; // goes on after the next login
	const wait = error.retryAfter ?? Math.min(30, 2 ** (failures - 1));
	timer = setTimeout(run, wait * 1000);
}

export async function run() {
	clearTimeout(timer);
	if (!navigator.onLine || !user) return;
	if (running) {
		again = true;
		return;
	}
	running = true;
	try {
		do {
			again = false;
			await lock('outbox', sendAll);
		} while (again);
	} catch (error) {
		if (error instanceof NetworkError || error instanceof Problem) later(error);
		else throw error;
	} finally {
		running = false;
		on.changed?.();
	}
}

// The person has seen both versions.
export function resolve(op, mine) {
	const { theirs, ...rest } = op;
	if (!mine) {
		strike(op, null);
		if (theirs.deleted) {
			ops.filter(({ id }) => id === op.id).forEach((each) => strike(each, null));
		} else {
			for (const each of ops.filter(({ id, base }) => id === op.id && base)) {
				const base = Object.fromEntries(
					Object.keys(each.base).map((key) => [key, theirs[key]]),
				);
				save({ ...each, base, version: theirs.version });
			}
		}
	} else if (theirs.deleted) {
		save({ ...rest, version: null, revive: true });
	} else {
		const base = Object.fromEntries(
			Object.keys(op.base).map((key) => [key, theirs[key]]),
		);
		save({ ...rest, base, version: theirs.version });
	}
	on.settled(op, theirs.deleted ? null : theirs);
	run();
}

addEventListener('online', run);
net.addEventListener('change', () => net.up && failures && run());

hear('op', ({ op }) => {
	if (op.user !== user) return;
	note(op);
	on.changed();
});
hear('op-done', ({ op, settled }) => {
	if (op.user !== user) return;
	forget(op.seq);
	if (settled) on.settled(op, settled.task);
	else on.changed();
});
