// The beginning: who is there, which page is asked for, and what happens when either changes.

import * as dialogs from './dialogs.js';
import { $, setText } from './dom.js';
import * as keys from './keys.js';
import { say } from './messages.js';
import * as outbox from './outbox.js';
import { parse, safeNext } from './query.js';
import * as session from './session.js';
import * as shell from './shell.js';
import * as store from './store.js';
import { showTheme } from './theme.js';
import { hide, toast } from './toast.js';
import { login, register } from './view-auth.js';
import * as settings from './view-settings.js';
import * as tasks from './view-tasks.js';
import * as trash from './view-trash.js';

const main = $('#main');
let page = null;
let notice = null;

const replace = (hash) => history.replaceState(null, '', hash);
const strangers = (name) => name === 'login' || name === 'register';

// Sends strangers to the log-in, with the way back in the address, and others away from it.
function allowed() {
	const route = parse(location.hash);
	if (!session.current() && !strangers(route.page)) {
		const asked = safeNext(location.hash);
		replace(
			asked === '#/tasks'
				? '#/login'
				: `#/login?next=${encodeURIComponent(asked)}`,
		);
	} else if (session.current() && strangers(route.page)) {
		replace(safeNext(route.next));
	}
	return parse(location.hash);
}

const views = {
	login: (route) => (login(main, route, notice), 'Log in'),
	register: (route) => (register(main, route), 'Create account'),
	tasks: (route) => tasks.show(main, route),
	trash: () => (trash.show(main), 'Trash'),
	settings: () => (settings.show(main), 'Settings'),
};

function render() {
	const route = allowed();
	const before = page;
	document.body.dataset.who = session.current() ? 'user' : 'stranger';
	if (before === 'tasks' && route.page !== 'tasks') tasks.hide();
	page = route.page;
	main.dataset.page = page;
	if (!strangers(page)) shell.showRoute(route);
	if (before === page && page !== 'tasks' && !strangers(page)) return;
	document.title = `${views[page](route)} · taskcell`;
	notice = null;
	if (before && before !== page && !strangers(page)) {
		scrollTo(0, 0);
		$('h1', main)?.focus({ preventScroll: true });
	}
	shell.update();
}

function clear() {
	if (page === 'tasks') tasks.hide();
	page = null;
	dialogs.closeAll();
	main.replaceChildren();
	hide();
	setText($('#who'), '');
}

session.onChange((what) => {
	if (what === 'renewed') store.follow();
	if (what === 'token' || what === 'renewed') {
		shell.update();
		return;
	}
	if (what === 'in') {
		store.begin(session.current().id);
		if (booted) render();
		return;
	}
	clear();
	store.end(what !== 'ended');
	notice =
		what === 'ended'
			? 'Your session has ended. Please log in again.'
			: what === 'deleted'
				? 'Your account is gone, with everything in it.'
				: null;
	if (what !== 'ended') replace('#/login');
	render();
});

async function logout() {
	const n = outbox.waiting();
	const text = `${n} change${n === 1 ? ' is' : 's are'} not saved yet and would be lost.`;
	if (n && !(await dialogs.confirm('Log out anyway?', text, 'Log out'))) return;
	session.logout();
}

function refused(op, error) {
	const title = op.data?.title ?? op.task.title;
	toast(`“${title.slice(0, 60)}” could not be saved. ${say(error)}`);
}

async function keepShell() {
	if (!('serviceWorker' in navigator)) return;
	const url = 'sw.js';
	const policy = self.trustedTypes?.createPolicy('taskcell', {
		createScriptURL(given) {
			if (given !== url) throw new TypeError(given);
			return given;
		},
	});
	await navigator.serviceWorker.register(policy ? policy.createScriptURL(url) : url);
}

let booted = false;
async function start() {
	showTheme();
	shell.start(logout);
	keys.start();
	store.on('change', () => page === 'tasks' && tasks.draw());
	store.on('refused', refused);
	addEventListener('hashchange', render);
	addEventListener('beforeunload', (event) => {
		if (tasks.isDirty() || outbox.wouldBeLost()) event.preventDefault();
	});
	$('#skip').addEventListener('click', (event) => {
		event.preventDefault();
		$('h1', main)?.focus();
	});
	// A day ends, or what is due becomes overdue, also while nobody does anything.
	const look = () => page === 'tasks' && !document.hidden && render();
	setInterval(look, 60000);
	document.addEventListener('visibilitychange', look);
	await session.start();
	booted = true;
	render();
	keepShell().catch(() => {}); // it works without, only not without a network
}

start();
