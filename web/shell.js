// What stands around every page of somebody who is logged in: filters, links, and whether all is
// saved.

import * as dialogs from './dialogs.js';
import { $, h, icon, setText } from './dom.js';
import { net } from './http.js';
import * as outbox from './outbox.js';
import { filters, format } from './query.js';
import * as session from './session.js';
import * as store from './store.js';
import * as tasks from './view-tasks.js';

const SLOW = 400; // what is saved sooner is not worth a word
const links = new Map();

function takesDrop(link, drop) {
	link.addEventListener('dragover', (event) => {
		if (!event.dataTransfer.types.includes('application/x-taskcell')) return;
		event.preventDefault();
		link.classList.add('over');
	});
	link.addEventListener('dragleave', () => link.classList.remove('over'));
	link.addEventListener('drop', (event) => {
		event.preventDefault();
		link.classList.remove('over');
		const id = event.dataTransfer.getData('application/x-taskcell');
		if (store.task(id)) drop(id);
	});
}

function buildFilters() {
	for (const [key, { name, icon: sign, move }] of Object.entries(filters)) {
		const count = h('span.count', { 'aria-hidden': 'true' });
		const link = h('a', icon(sign), h('span', name), count);
		if (move) takesDrop(link, (id) => tasks.act('move', id, key));
		links.set(key, { link, count });
		$('#filters').append(link);
	}
	takesDrop($('#to-trash'), (id) => tasks.act('delete', id));
}

function mark(link, here) {
	if (here) link.setAttribute('aria-current', 'page');
	else link.removeAttribute('aria-current');
}

export function showRoute(route) {
	for (const [key, { link }] of links) {
		link.href = format({ filter: key, sort: route.sort });
		mark(link, route.page === 'tasks' && route.filter === key && !route.tag);
	}
	mark($('#to-trash'), route.page === 'trash');
	mark($('#to-settings'), route.page === 'settings');
}

// --- numbers and what is not saved ---

const COUNTED = {
	all: 'total',
	today: 'due_today',
	overdue: 'overdue',
	active: 'pending',
	completed: 'completed',
};

function showNumbers() {
	for (const [key, { link, count }] of links) {
		const number = store.numbers?.[COUNTED[key]] ?? 0;
		count.dataset.count = number || '';
		link.classList.toggle('some', number > 0);
	}
}

const TEXT = {
	saved: () => 'Saved',
	saving: () => 'Saving…',
	offline: (n) => (n ? `Offline, ${n} change${n === 1 ? '' : 's'} kept here` : 'Offline'),
	conflict: () => 'Changed elsewhere',
};

let timer = 0;
function showSync() {
	const element = $('#sync');
	const n = outbox.waiting();
	const state = outbox.conflict()
		? 'conflict'
		: net.offline
			? 'offline'
			: n
				? 'saving'
				: 'saved';
	clearTimeout(timer);
	const text = () => setText($('span', element), TEXT[state](n));
	if (state === 'saving' && element.dataset.sync === 'saved') timer = setTimeout(text, SLOW);
	else text();
	element.dataset.sync = state;
	$('#decide').hidden = state !== 'conflict';
}

let asking = false;
async function askConflict(again) {
	const op = outbox.conflict();
	if (asking && !op) dialogs.closeAll(); // another tab has the answer
	if (!op || asking || document.hidden || dialogs.isOpen()) return;
	if (!again && op.seq === putOff) return;
	asking = true;
	const mine = op.kind === 'delete' ? {} : { ...op.task, ...op.theirs, ...op.data };
	const answer = await dialogs.conflict(mine, op.theirs);
	asking = false;
	const still = outbox.conflict();
	if (answer === null) putOff = op.seq;
	else if (still?.seq === op.seq) outbox.resolve(still, answer);
	update();
}
let putOff = null;

export function update() {
	if (!session.current()) return;
	showNumbers();
	showSync();
	setText($('#who'), session.current().name || session.current().email);
	askConflict(false);
}

export function start(logout) {
	buildFilters();
	$('#logout').addEventListener('click', logout);
	$('#help').addEventListener('click', dialogs.help);
	$('#decide').addEventListener('click', () => askConflict(true));
	store.on('change', update);
	net.addEventListener('change', update);
	document.addEventListener('visibilitychange', update);
}
