// Keyboard shortcuts. Single keys mean something only while nobody types, and can be turned off.

import * as dialogs from './dialogs.js';
import { filters, format, parse } from './query.js';
import { current } from './session.js';
import { hasKeys } from './theme.js';
import { undoLast } from './toast.js';
import * as tasks from './view-tasks.js';

const types = (target) =>
	target.matches?.(
		'textarea, select, .editor *, input:not([type="checkbox"], [type="radio"])',
	);

const onTask = (what) => () => {
	const id = tasks.currentId();
	if (id) tasks.act(what, id);
	return Boolean(id);
};

const single = {
	n: tasks.focusAdd,
	'/': tasks.focusSearch,
	j: () => tasks.step(1),
	k: () => tasks.step(-1),
	x: onTask('complete'),
	e: onTask('edit'),
	t: onTask('today'),
	u: undoLast,
	'?': () => void dialogs.help(),
};
Object.keys(filters).forEach((filter, i) => {
	single[i + 1] = () => (location.hash = format({ filter, sort: parse(location.hash).sort }));
});

// These are no characters, so they stay when the others are off.
const inList = {
	ArrowDown: () => tasks.step(1),
	ArrowUp: () => tasks.step(-1),
	Delete: onTask('delete'),
	Backspace: onTask('delete'),
	Enter: (event) => event.target.matches('.check') && onTask('edit')(),
};

export function start() {
	document.addEventListener('keydown', (event) => {
		if (event.defaultPrevented || event.isComposing || dialogs.isOpen() || !current())
			return;
		if (types(event.target)) return;
		const command = event.ctrlKey || event.metaKey;
		if (command && event.key === 'z' && !event.shiftKey) {
			if (undoLast()) event.preventDefault();
			return;
		}
		if (command || event.altKey) return;
		const here = parse(location.hash).page === 'tasks';
		const work =
			(here && tasks.currentId() && inList[event.key]) ||
			(hasKeys() &&
				(here || !'njkxet/'.includes(event.key)) &&
				single[event.key]);
		if (work && work(event) !== false) event.preventDefault();
	});
}
