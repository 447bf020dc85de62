// The list of tasks with all that is done to them.

import { $, h, icon, setText } from './dom.js';
import { editor } from './editor.js';
import { NetworkError } from './http.js';
import { say } from './messages.js';
import { filters, format, matches, sorts } from './query.js';
import { makeRow, showRow } from './row.js';
import * as store from './store.js';
import { toast } from './toast.js';
import { sayToday, today } from './when.js';

const SHORT = 60;
const brief = (title) => (title.length > SHORT ? `${title.slice(0, SHORT)}…` : title);
const quote = (title) => `“${brief(title)}”`;

let route = null;
let parts = null; // the elements of the page
let open = null; // the editor
const rowsById = new Map();

// --- what is done to tasks ---

export const actions = {
	complete(id) {
		const task = store.task(id);
		const completed = !task.completed;
		const undo = store.change(id, { completed });
		toast(`${completed ? 'Completed' : 'Active again'}: ${quote(task.title)}`, undo);
	},
	edit(id) {
		history.pushState({ opened: true }, '', format({ ...route, id }));
		dispatchEvent(new Event('hashchange'));
	},
	delete(id) {
		const { title } = store.task(id);
		toast(`Deleted ${quote(title)}`, store.remove(id));
	},
	today: (id) => actions.move(id, 'today'),
	move(id, filter) {
		const task = store.task(id);
		const undo = filters[filter].move && store.change(id, filters[filter].move(task));
		if (undo) toast(`${quote(task.title)} moved to ${filters[filter].name}`, undo);
	},
};

export const act = (what, id, ...rest) => actions[what](id, ...rest);

async function clear() {
	const button = parts.clear;
	if (button.getAttribute('aria-disabled')) return;
	button.setAttribute('aria-disabled', 'true');
	try {
		const { deleted, undo } = await store.clearCompleted();
		const back = undo && (() => undo().catch((error) => toast(say(error))));
		toast(
			deleted === 1
				? 'Moved 1 task to the trash'
				: `Moved ${deleted} tasks to the trash`,
			back,
		);
	} catch (error) {
		toast(
			error instanceof NetworkError
				? 'This needs a connection. Please try again when all is saved.'
				: say(error),
		);
	}
	button.removeAttribute('aria-disabled');
}

// --- adding ---

function grow(area) {
	area.rows = Math.min(8, area.value.split('\n').length);
}

function addTyped() {
	const { area } = parts;
	const titles = area.value
		.split('\n')
		.map((line) => line.trim())
		.filter(Boolean);
	const long = titles.find((title) => [...title].length > 200);
	if (long) {
		setText(parts.addError, `A title has at most 200 characters: ${quote(long)}`);
		area.focus();
		return;
	}
	setText(parts.addError, '');
	if (titles.length) {
		const preset = { ...filters[route.filter].preset?.() };
		if (route.tag) preset.tags = [route.tag];
		store.add(titles, preset);
		const here = matches(route, {
			completed: false,
			due_date: null,
			tags: [],
			...preset,
		});
		if (!here || route.q)
			toast(
				titles.length === 1
					? `Added ${quote(titles[0])}`
					: `Added ${titles.length} tasks`,
			);
	}
	area.value = '';
	grow(area);
	area.focus();
}

function adder() {
	const area = h('textarea', {
		rows: 1,
		'aria-label': 'Add a task',
		placeholder: 'Add a task',
		id: 'add',
		autocomplete: 'off',
		'aria-describedby': 'add-hint add-error',
		enterkeyhint: 'done',
		oninput: () => (grow(area), setText(parts.addError, '')),
		onkeydown(event) {
			if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
				event.preventDefault();
				addTyped();
			} else if (event.key === 'Escape') {
				area.blur();
			}
		},
	});
	const addError = h('p.error', { id: 'add-error', role: 'alert' });
	const element = h(
		'form.add',
		{
			onsubmit(event) {
				event.preventDefault();
				addTyped();
			},
		},
		h('label.plus', { for: 'add' }, icon('plus')),
		area,
		h('button', { type: 'submit', class: 'primary' }, 'Add'),
		h(
			'p.sr',
			{ id: 'add-hint' },
			'Several lines make several tasks. Shift and Enter begin a new line.',
		),
	);
	return { element: h('div', element, addError), area, addError };
}

// --- looking for tasks ---

function go(change) {
	history.replaceState(null, '', format({ ...route, ...change, id: null }));
	dispatchEvent(new Event('hashchange'));
}

function toolbar() {
	let timer = 0;
	const search = h('input', {
		type: 'search',
		id: 'search',
		'aria-label': 'Search tasks',
		placeholder: 'Search',
		maxlength: 200,
		autocomplete: 'off',
		spellcheck: 'false',
		oninput() {
			clearTimeout(timer);
			timer = setTimeout(() => go({ q: search.value.trim() }), 250);
		},
		onkeydown(event) {
			if (event.key === 'Enter' || event.key === 'Escape') {
				clearTimeout(timer);
				if (event.key === 'Escape') search.value = '';
				if (search.value.trim() !== route.q) go({ q: search.value.trim() });
				if (event.key === 'Escape') search.blur();
				event.preventDefault();
			}
		},
	});
	const sort = h(
		'select',
		{ 'aria-label': 'Sort by', onchange: () => go({ sort: sort.value }) },
		Object.entries(sorts).map(([value, { name }]) => h('option', { value }, name)),
	);
	const clearButton = h(
		'button',
		{ type: 'button', class: 'quiet', hidden: true, onclick: clear },
		'Clear completed',
	);
	const element = h(
		'div.toolbar',
		h('div.search', { role: 'search' }, icon('search'), search),
		sort,
	);
	return { element, search, sort, clear: clearButton };
}

// --- drawing ---

const EMPTY = {
	all: [
		'Nothing here yet',
		'Write down what is on your mind. Several lines make several tasks.',
	],
	today: ['Nothing due today', 'Enjoy it, or add a task: it will be due today.'],
	overdue: ['Nothing is overdue', 'You are on top of things.'],
	active: ['All done', 'Nothing is waiting for you.'],
	completed: ['Nothing completed yet', 'What you tick off is collected here.'],
};

function note(kind, title, text, button) {
	return h(
		'div',
		{ class: `note ${kind}` },
		icon(kind === 'trouble' ? 'overdue' : 'done'),
		h('h2', title),
		h('p', text),
		button,
	);
}

function emptyNote() {
	if (route.q || route.tag) {
		const what = route.q ? quote(route.q) : `#${route.tag}`;
		return note(
			'empty',
			`No task matches ${what}`,
			'Try fewer words, or look in all tasks.',
			h(
				'button',
				{
					type: 'button',
					onclick: () => go({ filter: 'all', q: '', tag: '' }),
				},
				'Show all tasks',
			),
		);
	}
	return note('empty', ...EMPTY[route.filter]);
}

const skeleton = () =>
	h(
		'div.skeleton',
		{ 'aria-hidden': 'true' },
		Array.from({ length: 6 }, () => h('div')),
	);

const OFFLINE = 'Your tasks come back with the connection. What you add is kept.';

function stateNote(list, count) {
	const again = () => h('button', { type: 'button', onclick: store.reload }, 'Try again');
	const offline = list.error instanceof NetworkError;
	if (!list.error) {
		if (count) return [];
		return list.ready ? [emptyNote()] : [skeleton()];
	}
	if (count && offline) return list.ready ? [] : [h('p.hint.center', OFFLINE)];
	if (count) return [h('p.alert', say(list.error), ' ', again())];
	return offline
		? [note('trouble', 'You are offline', OFFLINE, again())]
		: [note('trouble', 'The tasks could not be loaded', say(list.error), again())];
}

// Made anew only when it says something else.
function drawState(list, count) {
	const { filter, q, tag } = route;
	const kind = JSON.stringify([
		count > 0,
		list.ready,
		list.error?.code,
		Boolean(list.error),
		filter,
		q,
		tag,
	]);
	if (parts.state.dataset.kind === kind) return;
	parts.state.dataset.kind = kind;
	parts.state.replaceChildren(...stateNote(list, count));
}

// When a row leaves that has the focus, its neighbour gets it, so that keys go on working.
function neighbour(row, wanted) {
	const find = (way) => {
		let other = row[way];
		while (other && !wanted.has(other.dataset.id)) other = other[way];
		return other;
	};
	return find('nextElementSibling') ?? find('previousElementSibling');
}

// The rows in their order, each the same element as before. An element that has the focus loses it
// when it is moved, so the others move around it.
function drawRows(tasks) {
	const { list } = parts;
	const wanted = new Set(tasks.map(({ id }) => id));
	const had = document.activeElement;
	const inRow = had?.closest?.('li[data-id]');
	const heir = inRow && neighbour(inRow, wanted);
	for (const [id, row] of rowsById) {
		if (wanted.has(id)) continue;
		if (open?.task.id === id && !open.loose && !open.over) {
			open.loose = true; // the editor stays, above the list
			parts.loose.replaceChildren(open.element);
		}
		row.remove();
		rowsById.delete(id);
	}
	let at = list.firstElementChild;
	for (const task of tasks) {
		let row = rowsById.get(task.id);
		if (!row) {
			row = makeRow(task.id);
			rowsById.set(task.id, row);
		}
		if (row === at) at = at.nextElementSibling;
		else list.insertBefore(row, at);
		if (open?.task.id !== task.id) showRow(row, task);
	}
	if (!inRow || document.activeElement === had) return;
	const same = `:is(input, button)[data-do="${had.dataset.do}"]`;
	const next = had.isConnected
		? had
		: heir
			? ($(same, heir) ?? $('.check', heir))
			: parts.title;
	next.focus({ preventScroll: true });
}

function sayCount(list, count) {
	if (!list.ready || list.loading) return;
	const more = list.cursor ? ' so far' : '';
	setText(parts.count, count === 1 ? `1 task${more}` : `${count} tasks${more}`);
}

export function draw() {
	const list = store.view();
	if (!parts || !list) return;
	const tasks = store.rows();
	if (open?.loose)
		tasks.splice(0, tasks.length, ...tasks.filter(({ id }) => id !== open.task.id));
	drawRows(tasks);
	drawState(list, tasks.length + (open?.loose ? 1 : 0));
	parts.more.hidden = !list.cursor || !tasks.length;
	parts.more.setAttribute('aria-busy', String(Boolean(list.loading && list.ready)));
	const completed =
		tasks.some((task) => task.completed) || (store.numbers?.completed ?? 0) > 0;
	parts.clear.hidden = !completed || !['all', 'completed'].includes(route.filter);
	sayCount(list, tasks.length);
	watchOpen();
}

// --- the editor in the list ---

function closeEditor() {
	if (!open) return;
	const { task, loose, element } = open;
	const inside = element.contains(document.activeElement);
	open = null;
	element.remove();
	const row = rowsById.get(task.id);
	if (loose) parts.loose.replaceChildren();
	row?.classList.remove('editing');
	draw();
	if (inside)
		(row?.isConnected ? $('button[data-do="edit"]', row) : parts.title).focus({
			preventScroll: true,
		});
}

function leaveEditor() {
	if (open) open.over = true;
	if (history.state?.opened) history.back();
	else go({ id: null });
}

async function openEditor(id) {
	let task;
	try {
		task = await store.fetchTask(id);
	} catch (error) {
		toast(say(error));
	}
	if (route.id !== id || open) return;
	if (!task) {
		go({ id: null });
		return;
	}
	open = editor(task, leaveEditor);
	const row = rowsById.get(id);
	open.loose = !row;
	if (row) {
		row.classList.add('editing');
		row.append(open.element);
	} else {
		parts.loose.replaceChildren(open.element);
	}
	draw();
	open.element.scrollIntoView({ block: 'nearest' });
	open.focus();
}

// Somebody deleted or changed the task while it is open. The words that were typed stay.
function watchOpen() {
	if (!open || open.dirty()) return;
	const now = store.task(open.task.id);
	if (now === null) {
		leaveEditor();
		return;
	}
	if (now.version > open.task.version && !open.stale) {
		open.stale = true;
		const { id } = open.task;
		queueMicrotask(() => {
			if (open?.task.id !== id || open.dirty()) return;
			const had = open.element.contains(document.activeElement);
			const name = document.activeElement?.name;
			const fresh = editor(store.task(id), leaveEditor);
			fresh.loose = open.loose;
			open.element.replaceWith(fresh.element);
			open = fresh;
			if (had)
				(
					fresh.element.elements[name] ?? fresh.element.elements.title
				).focus({ preventScroll: true });
		});
	}
}

// --- the page ---

async function more() {
	const before = new Set(rowsById.keys());
	const focused = document.activeElement === parts.more;
	await store.loadMore();
	draw();
	const first = [...parts.list.children].find(({ dataset }) => !before.has(dataset.id));
	if (focused && first) $('.check', first).focus({ preventScroll: true });
}

function onClick(event) {
	const target = event.target.closest('[data-do]');
	const row = event.target.closest('li[data-id]');
	if (!target || !row || event.target.closest('a, form')) return;
	if (target.matches('.body') && String(getSelection())) return; // text is being selected
	act(target.dataset.do, row.dataset.id);
}

function onDrag(event) {
	const row = event.target.closest?.('li[data-id]');
	if (!row || row.classList.contains('editing')) {
		event.preventDefault();
		return;
	}
	event.dataTransfer.setData('text/plain', $('.title', row).textContent);
	event.dataTransfer.setData('application/x-taskcell', row.dataset.id);
	event.dataTransfer.effectAllowed = 'move';
	document.body.classList.add('dragging');
}

function build(root) {
	const add = adder();
	const tools = toolbar();
	const title = h('h1', { tabindex: '-1' });
	const list = h('ul.tasks', {
		role: 'list',
		'aria-label': 'Tasks',
		onclick: onClick,
		ondragstart: onDrag,
		ondragend: () => document.body.classList.remove('dragging'),
	});
	const moreButton = h(
		'button',
		{ type: 'button', class: 'more', hidden: true, onclick: more },
		'Load more',
	);
	parts = {
		...add,
		...tools,
		title,
		list,
		more: moreButton,
		subtitle: h('p.subtitle'),
		state: h('div.state'),
		loose: h('div.loose'),
		count: h('p.sr', { role: 'status' }),
	};
	root.replaceChildren(
		h('header.head', title, parts.clear, parts.subtitle),
		add.element,
		tools.element,
		parts.count,
		parts.loose,
		list,
		parts.state,
		moreButton,
	);
}

const listKey = ({ filter, sort, q, tag }) => JSON.stringify([filter, sort, q, tag, today()]);

export function show(root, next) {
	const first = !parts;
	if (first) build(root);
	const changed = first || listKey(next) !== listKey(route);
	const { id } = next;
	route = next;
	if (open && open.task.id !== id) {
		if (!open.over && open.dirty()) open.save();
		closeEditor();
	}
	setText(parts.title, route.tag ? `#${route.tag}` : filters[route.filter].title);
	setText(parts.subtitle, route.filter === 'today' ? sayToday() : '');
	parts.sort.value = route.sort;
	if (document.activeElement !== parts.search) parts.search.value = route.q;
	if (changed)
		store.open({ filter: route.filter, sort: route.sort, q: route.q, tag: route.tag });
	draw();
	if (id && open?.task.id !== id) openEditor(id);
	return parts.title.textContent;
}

export function hide() {
	if (open?.dirty() && !open.over) open.save();
	open = null;
	parts = null;
	rowsById.clear();
}

// What is typed is not lost by closing the window without a question.
export const isDirty = () => Boolean(open?.dirty());

// --- keys ---

export const currentId = () => document.activeElement?.closest?.('li[data-id]')?.dataset.id ?? null;

export function step(by) {
	const rows = [...(parts?.list.children ?? [])];
	const at = rows.findIndex((row) => row.contains(document.activeElement));
	const row =
		rows[
			at < 0
				? by > 0
					? 0
					: rows.length - 1
				: Math.min(rows.length - 1, Math.max(0, at + by))
		];
	if (row) $('.check', row).focus();
	return Boolean(row);
}

export const focusAdd = () => parts?.area.focus();
export const focusSearch = () => parts?.search.focus();
