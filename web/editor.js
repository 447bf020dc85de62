// The form in which a task is changed, in the place of its row. It keeps the task as it was when it
// opened: what is saved is the difference, made on that version.

import { field, h } from './dom.js';
import * as store from './store.js';
import { addDays, joinDue, splitDue, today } from './when.js';

const PRIORITIES = [
	['none', 'None'],
	['low', 'Low'],
	['medium', 'Medium'],
	['high', 'High'],
];

export const readTags = (text) => {
	const tags = text
		.split(/[,\n]/)
		.map((tag) => tag.trim().replace(/^#/, ''))
		.filter(Boolean);
	return [...new Set(tags)];
};

const length = (text) => [...text].length;

function faults(fields) {
	const tags = readTags(fields.tags.input.value);
	const title = fields.title.input.value.trim();
	return {
		title: !title
			? 'A task needs a title.'
			: length(title) > 200
				? 'At most 200 characters.'
				: null,
		notes:
			length(fields.notes.input.value) > 10000
				? 'At most 10 000 characters.'
				: null,
		tags:
			tags.length > 20
				? 'At most 20 tags.'
				: tags.some((tag) => length(tag) > 40)
					? 'A tag has at most 40 characters.'
					: null,
		time:
			fields.time.input.value && !fields.date.input.value
				? 'A time needs a date.'
				: null,
	};
}

function quick(date, name, days) {
	return h(
		'button',
		{
			type: 'button',
			class: 'chip',
			onclick() {
				date.input.value = days === null ? '' : addDays(today(), days);
				date.input.dispatchEvent(new Event('input'));
			},
		},
		name,
	);
}

// `done()` closes it, with what was typed saved or not.
export function editor(task, done) {
	const due = splitDue(task.due_date);
	const fields = {
		title: field({
			label: 'Title',
			name: 'title',
			dir: 'auto',
			value: task.title,
			autocomplete: 'off',
			maxlength: 400,
		}),
		notes: field({
			label: 'Notes',
			control: 'textarea',
			name: 'notes',
			dir: 'auto',
			rows: 3,
			value: task.description ?? '',
		}),
		date: field({
			label: 'Due date',
			type: 'date',
			name: 'date',
			value: due.date,
			max: '9999-12-31',
		}),
		time: field({ label: 'Time', type: 'time', name: 'time', value: due.time }),
		priority: field({ label: 'Priority', control: 'select', name: 'priority' }),
		tags: field({
			label: 'Tags',
			name: 'tags',
			value: task.tags.join(', '),
			autocomplete: 'off',
			hint: 'Separated by commas.',
		}),
	};
	const { title, notes, date, time, priority, tags } = fields;
	priority.input.append(
		...PRIORITIES.map(([value, name]) =>
			h('option', { value, selected: value === task.priority }, name),
		),
	);

	const values = () => ({
		title: title.input.value.trim(),
		description: notes.input.value.trim() === '' ? null : notes.input.value,
		due_date: joinDue(date.input.value, time.input.value, task.due_date),
		priority: priority.input.value,
		tags: readTags(tags.input.value),
	});
	const was = values();
	const dirty = () => JSON.stringify(values()) !== JSON.stringify(was);

	// False: something has to be mended first.
	function save() {
		let first = null;
		for (const [name, fault] of Object.entries(faults(fields))) {
			fields[name].fail(fault);
			if (fault) first ??= fields[name].input;
		}
		first?.focus();
		if (first) return false;
		const now = values();
		const patch = Object.fromEntries(
			Object.keys(now)
				.filter(
					(key) =>
						JSON.stringify(now[key]) !==
						JSON.stringify(was[key]),
				)
				.map((key) => [key, now[key]]),
		);
		store.change(task.id, patch, task);
		return true;
	}

	const element = h(
		'form.editor',
		{
			novalidate: true,
			'aria-label': `Edit ${task.title}`,
			onsubmit(event) {
				event.preventDefault();
				if (save()) done();
			},
			onkeydown(event) {
				if (event.key === 'Escape') {
					event.preventDefault();
					done();
				} else if (
					event.key === 'Enter' &&
					(event.ctrlKey || event.metaKey)
				) {
					event.preventDefault();
					element.requestSubmit();
				}
			},
		},
		title.element,
		notes.element,
		h('div.columns', priority.element, date.element, time.element),
		h(
			'div.chips',
			quick(date, 'Today', 0),
			quick(date, 'Tomorrow', 1),
			quick(date, 'In a week', 7),
			quick(date, 'No date', null),
		),
		tags.element,
		h(
			'div.buttons',
			h('button', { type: 'button', onclick: () => done() }, 'Cancel'),
			h('button', { type: 'submit', class: 'primary' }, 'Save'),
		),
	);

	return {
		element,
		task,
		dirty,
		save,
		focus: () => title.input.focus({ preventScroll: false }),
	};
}
