// What was deleted, for as long as it can be brought back.

import * as api from './api.js';
import { confirm } from './dialogs.js';
import { h, icon, setText } from './dom.js';
import { say } from './messages.js';
import * as store from './store.js';
import { toast } from './toast.js';
import { sayAgo } from './when.js';

let generation = 0;

export async function show(root) {
	const mine = ++generation;
	let cursor = null;
	const list = h('ul.tasks.trash', { role: 'list', 'aria-label': 'Deleted tasks' });
	const state = h('div.state');
	const more = h(
		'button',
		{ type: 'button', class: 'more', hidden: true, onclick: () => load() },
		'Load more',
	);
	root.replaceChildren(
		h(
			'header.head',
			h('h1', { tabindex: '-1' }, 'Trash'),
			h('p.subtitle', 'What you delete stays here for 30 days.'),
		),
		list,
		state,
		more,
	);

	function leave(row) {
		const next = row.nextElementSibling ?? row.previousElementSibling;
		const had =
			row.contains(document.activeElement) ||
			document.activeElement === document.body;
		row.remove();
		if (had)
			(next?.querySelector('button') ?? root.querySelector('h1')).focus({
				preventScroll: true,
			});
		empty();
	}

	function empty() {
		if (list.children.length || cursor) return;
		state.replaceChildren(
			h(
				'div.note.empty',
				icon('trash'),
				h('h2', 'The trash is empty'),
				h('p', 'Nothing was deleted in the last 30 days.'),
			),
		);
	}

	function row(task) {
		const element = h(
			'li.task',
			h(
				'div.body',
				h('span.title', { dir: 'auto' }, task.title),
				h(
					'div.meta',
					h(
						'time',
						{ datetime: task.deleted_at },
						`Deleted ${sayAgo(task.deleted_at)}`,
					),
				),
			),
			h(
				'div.actions',
				h(
					'button',
					{
						type: 'button',
						'aria-label': `Restore: ${task.title}`,
						onclick() {
							store.restore(task);
							toast(`Restored “${task.title}”`);
							leave(element);
						},
					},
					'Restore',
				),
				h(
					'button',
					{
						type: 'button',
						class: 'icon-button',
						'aria-label': `Delete for good: ${task.title}`,
						async onclick() {
							const sure = await confirm(
								'Delete for good?',
								`“${task.title}” will be gone.`,
								'Delete for good',
							);
							if (!sure) return;
							try {
								await api.purgeTask(task.id);
								leave(element);
							} catch (error) {
								toast(say(error));
							}
						},
					},
					icon('trash'),
				),
			),
		);
		return element;
	}

	async function load() {
		if (!list.children.length) {
			state.replaceChildren(
				h(
					'div.skeleton',
					{ 'aria-hidden': 'true' },
					Array.from({ length: 4 }, () => h('div')),
				),
			);
		}
		try {
			const page = await api.listTrash({ limit: 50, cursor });
			if (mine !== generation) return;
			cursor = page.cursor;
			const focused = document.activeElement === more;
			const rows = page.items.map(row);
			list.append(...rows);
			state.replaceChildren();
			more.hidden = !cursor;
			if (focused)
				rows[0]?.querySelector('button').focus({ preventScroll: true });
			empty();
		} catch (error) {
			if (mine !== generation) return;
			const alert = h('p.alert', { role: 'alert' });
			state.replaceChildren(
				alert,
				h('button', { type: 'button', onclick: () => load() }, 'Try again'),
			);
			setText(alert, say(error));
		}
	}
	await load();
}
