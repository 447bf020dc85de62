// One task in a list. A row is made once and then only brought up to date, so that it keeps the
// focus and what the screen reader was told.

import { $, h, icon, setText } from './dom.js';
import { format } from './query.js';
import { dueDay, isOverdue, sayDue, today } from './when.js';

const PRIORITY = { low: 'Low', medium: 'Medium', high: 'High' };

function meta(task) {
	const parts = [];
	if (PRIORITY[task.priority]) {
		parts.push(
			h(
				'span',
				{ class: `priority ${task.priority}` },
				icon('flag'),
				`${PRIORITY[task.priority]}`,
			),
		);
	}
	if (task.due_date) {
		const state = isOverdue(task)
			? 'overdue'
			: dueDay(task.due_date) === today() && !task.completed
				? 'today'
				: '';
		parts.push(
			h(
				'time',
				{ class: `due ${state}`, datetime: task.due_date },
				icon('today'),
				sayDue(task.due_date),
				state === 'overdue' ? h('span.sr', ' (overdue)') : null,
			),
		);
	}
	if (task.description) parts.push(h('span.has-notes', icon('notes'), 'Notes'));
	for (const tag of task.tags) parts.push(h('a.tag', { href: format({ tag }) }, `#${tag}`));
	return parts;
}

export function makeRow(id) {
	const check = h('input', { type: 'checkbox', class: 'check', 'data-do': 'complete' });
	const edit = h(
		'button',
		{ type: 'button', class: 'icon-button', 'data-do': 'edit' },
		icon('edit'),
	);
	const remove = h(
		'button',
		{ type: 'button', class: 'icon-button', 'data-do': 'delete' },
		icon('trash'),
	);
	return h(
		'li.task',
		{ 'data-id': id, draggable: 'true' },
		h('span.tick', check, icon('active'), icon('check')),
		h(
			'div.body',
			{ 'data-do': 'edit' },
			h('span.title', { dir: 'auto' }),
			h('div.meta'),
		),
		h('div.actions', edit, remove),
	);
}

export function showRow(row, task) {
	const stamp = JSON.stringify([
		task.title,
		task.completed,
		task.priority,
		task.due_date,
		task.tags,
		Boolean(task.description),
		today(),
		isOverdue(task),
	]);
	if (row.dataset.stamp === stamp) return;
	row.dataset.stamp = stamp;
	const [check, edit, remove] = ['complete', 'edit', 'delete'].map((what) =>
		$(`:is(input, button)[data-do="${what}"]`, row),
	);
	row.classList.toggle('completed', task.completed);
	row.dataset.priority = task.priority;
	setText($('.title', row), task.title);
	check.checked = task.completed;
	check.setAttribute('aria-label', `Complete: ${task.title}`);
	edit.setAttribute('aria-label', `Edit: ${task.title}`);
	remove.setAttribute('aria-label', `Delete: ${task.title}`);
	$('.meta', row).replaceChildren(...meta(task));
}
