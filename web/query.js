// Which tasks a view shows: the filters and orders by name, as parameters for the server and as
// functions for what changes here. Also the address of a view, which is the hash of the page.

import { addDays, dueDay, dueKey, isOverdue, today } from './when.js';

const isDue = (task, day) => Boolean(task.due_date) && dueDay(task.due_date) === day;

// A day is its midnight in UTC for the server, so it is asked for a little more than a day here;
// `match` has the last word. `preset`: what a task gets that is added in this view. `move`: what
// one gets that is moved there.
export const filters = {
	all: {
		name: 'All',
		title: 'All tasks',
		icon: 'all',
		params: () => ({}),
		match: () => true,
	},
	today: {
		name: 'Today',
		title: 'Today',
		icon: 'today',
		params: () => ({
			status: 'pending',
			due_after: addDays(today(), -1),
			due_before: addDays(today(), 2),
		}),
		match: (task) => !task.completed && isDue(task, today()),
		preset: () => ({ due_date: today() }),
		move: (task) => ({
			completed: false,
			due_date: task.due_date && isDue(task, today()) ? task.due_date : today(),
		}),
	},
	overdue: {
		name: 'Overdue',
		title: 'Overdue',
		icon: 'overdue',
		params: () => ({ status: 'pending', due_before: addDays(today(), 1) }),
		match: isOverdue,
	},
	active: {
		name: 'Active',
		title: 'Active',
		icon: 'active',
		params: () => ({ status: 'pending' }),
		match: (task) => !task.completed,
		move: () => ({ completed: false }),
	},
	completed: {
		name: 'Completed',
		title: 'Completed',
		icon: 'done',
		params: () => ({ status: 'completed' }),
		match: (task) => task.completed,
		move: () => ({ completed: true }),
	},
};

const RANK = { none: 0, low: 1, medium: 2, high: 3 };
const titleKey = (task) => task.title.toLowerCase();

// The server's orders. Its times are finer than those that it tells, so where two keys are equal
// here its own order stays, if it is known.
export const sorts = {
	new: { name: 'Newest first', sort: '-created_at', key: (task) => task.created_at },
	old: { name: 'Oldest first', sort: 'created_at', key: (task) => task.created_at },
	due: {
		name: 'Due date',
		sort: 'due_date',
		key: (task) => (task.due_date ? dueKey(task.due_date) : Infinity),
	},
	priority: { name: 'Priority', sort: '-priority', key: (task) => RANK[task.priority] },
	title: { name: 'Title', sort: 'title', key: titleKey },
	changed: { name: 'Last changed', sort: '-updated_at', key: (task) => task.updated_at },
};

const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
export function comparer(name) {
	const { key, sort } = sorts[name];
	const turn = sort.startsWith('-') ? -1 : 1;
	return (a, b) => turn * order(key(a), key(b));
}
export const byId = (name) => {
	const turn = sorts[name].sort.startsWith('-') ? -1 : 1;
	return (a, b) => turn * order(a.id, b.id);
};

export const matches = (query, task) =>
	filters[query.filter].match(task) &&
	(!query.tag || task.tags.some((tag) => tag.toLowerCase() === query.tag.toLowerCase()));

export const params = (query) => ({
	...filters[query.filter].params(),
	sort: sorts[query.sort].sort,
	q: query.q,
	tag: query.tag,
});

// --- addresses ---

const PAGES = ['login', 'register', 'tasks', 'trash', 'settings'];
const own = (table, name, other) => (Object.hasOwn(table, name) ? name : other);

export function parse(hash) {
	const [path, search = ''] = hash.replace(/^#\/?/, '').split(/\?(.*)/s);
	const [page, id = null] = path.split('/');
	const given = new URLSearchParams(search);
	return {
		page: PAGES.includes(page) ? page : 'tasks',
		id: page === 'tasks' && /^[0-9a-f-]{36}$/i.test(id ?? '') ? id.toLowerCase() : null,
		filter: own(filters, given.get('filter'), 'all'),
		sort: own(sorts, given.get('sort'), 'new'),
		q: given.get('q') ?? '',
		tag: given.get('tag') ?? '',
		next: given.get('next') ?? '',
		invite: given.get('invite') ?? '',
	};
}

export function format({ page = 'tasks', id, filter, sort, q, tag }) {
	const query = new URLSearchParams();
	if (filter && filter !== 'all') query.set('filter', filter);
	if (q) query.set('q', q);
	if (tag) query.set('tag', tag);
	if (sort && sort !== 'new') query.set('sort', sort);
	return `#/${page}${id ? `/${id}` : ''}${query.size ? `?${query}` : ''}`;
}

// Where to go after the login: a view of this page, never another address.
export const safeNext = (next) =>
	/^#\/(tasks|trash|settings)(?![^/?])/.test(next) ? next : '#/tasks';
