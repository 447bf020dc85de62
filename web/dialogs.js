// Questions that need an answer, as native modal dialogs: they hold the focus and give it back.

import { h, icon, newId } from './dom.js';
import { sayDue } from './when.js';

// Answers with the value of the button; null after Escape.
export function ask(title, content, buttons, className = '') {
	const id = newId();
	const dialog = h(
		'dialog',
		{ 'aria-labelledby': id, role: 'dialog', class: className },
		h(
			'form',
			{ method: 'dialog' },
			// One that comes by itself must not take the Enter of somebody who is
			// typing for an answer.
			h('h2', { id, tabindex: '-1', autofocus: className === 'conflict' }, title),
			content,
			h(
				'div.buttons',
				buttons.map(([value, name, style]) =>
					h('button', { type: 'submit', value, class: style }, name),
				),
			),
		),
	);
	document.body.append(dialog);
	dialog.showModal();
	return new Promise((resolve) => {
		dialog.addEventListener('close', () => {
			dialog.remove();
			resolve(dialog.returnValue || null);
		});
	});
}

export const closeAll = () => document.querySelectorAll('dialog').forEach((each) => each.close());
export const isOpen = () => document.querySelector('dialog[open]') !== null;

export const confirm = async (title, text, yes, style = 'danger') =>
	(await ask(title, h('p', text), [
		['', 'Cancel', ''],
		['yes', yes, style],
	])) === 'yes';

const KEYS = [
	['n', 'New task'],
	['Shift + Enter', 'While adding: one more line, one more task'],
	['/', 'Search'],
	['j or ↓', 'Next task'],
	['k or ↑', 'Previous task'],
	['x', 'Complete, or take it back'],
	['e or Enter', 'Edit'],
	['t', 'Due today'],
	['Del', 'Move to the trash'],
	['u', 'Undo'],
	['1 – 5', 'All, Today, Overdue, Active, Completed'],
	['?', 'This help'],
];

export function help() {
	const rows = KEYS.map(([keys, what]) =>
		h(
			'div',
			h(
				'dt',
				keys
					.split(' or ')
					.flatMap((key, i) => [i ? ' or ' : '', h('kbd', key)]),
			),
			h('dd', what),
		),
	);
	return ask(
		'Keyboard shortcuts',
		[h('dl.keys', rows), h('p.hint', 'Single keys do nothing while you type.')],
		[['close', 'Close', 'primary']],
	);
}

const PARTS = {
	title: ['Title', (title) => title],
	completed: ['State', (completed) => (completed ? 'Completed' : 'Active')],
	priority: ['Priority', (priority) => priority[0].toUpperCase() + priority.slice(1)],
	due_date: ['Due', (due) => (due ? sayDue(due) : 'No date')],
	tags: ['Tags', (tags) => tags.join(', ') || 'None'],
	description: ['Notes', (text) => text || 'None'],
};

const differs = (key, task, other) =>
	'title' in other && JSON.stringify(task[key]) !== JSON.stringify(other[key]);

function line(key, task, other) {
	const [label, say] = PARTS[key];
	const marked = differs(key, task, other);
	const mark = marked ? h('span.sr', ' (differs)') : null;
	return h(
		'div',
		{ class: marked && 'differs' },
		h('dt', label),
		h('dd', say(task[key]), mark),
	);
}

// The title says which task it is; of the rest, what there is to choose from.
function version(name, task, other, sign) {
	const keys = Object.keys(PARTS).filter(
		(key) => key === 'title' || differs(key, task, other),
	);
	const lines =
		'title' in task
			? h(
					'dl',
					keys.map((key) => line(key, task, other)),
				)
			: h('p', 'Deleted');
	return h('section', h('h3', icon(sign), name), lines);
}

// Answers true for mine, false for theirs, null for later.
export async function conflict(mine, theirs) {
	const answer = await ask(
		'This task was changed elsewhere',
		[
			h('p', 'It was changed here and on another device. Which one shall stay?'),
			h(
				'div.versions',
				version('Mine', mine, theirs, 'edit'),
				version('Theirs', theirs, mine, 'sync'),
			),
		],
		[
			['theirs', 'Keep theirs', ''],
			['mine', 'Keep mine', 'primary'],
		],
		'conflict',
	);
	return answer && answer === 'mine'; // null stays null
}
