// The account, its sessions, files of tasks, and how this browser shows them.

import * as api from './api.js';
import { field, form, h, passwordField, setText } from './dom.js';
import { say } from './messages.js';
import * as session from './session.js';
import * as store from './store.js';
import { emailFault } from './strength.js';
import { hasKeys, setKeys, setTheme, theme } from './theme.js';
import { toast } from './toast.js';
import { emailField, newPasswordField, showProblem } from './view-auth.js';
import { sayAgo, sayMoment, today } from './when.js';

const section = (title, text, ...children) =>
	h(
		'section.card',
		{ 'aria-label': title },
		h('h2', title),
		text && h('p.hint', text),
		children,
	);

// --- this browser ---

function looks() {
	const choice = ([value, name]) =>
		h(
			'label.choice',
			h('input', {
				type: 'radio',
				name: 'theme',
				value,
				checked: theme() === value,
				onchange: () => setTheme(value),
			}),
			name,
		);
	return section(
		'Appearance',
		null,
		h(
			'fieldset.choices',
			h('legend', 'Theme'),
			[
				['system', 'As the system'],
				['light', 'Light'],
				['dark', 'Dark'],
			].map(choice),
		),
		h(
			'label.choice',
			h('input', {
				type: 'checkbox',
				checked: hasKeys(),
				onchange: (event) => setKeys(event.target.checked),
			}),
			'Single-key shortcuts',
		),
	);
}

// --- account ---

function account() {
	const user = session.current();
	const fields = {
		name: field({
			label: 'Name',
			name: 'name',
			autocomplete: 'name',
			maxlength: 200,
			value: user.name ?? '',
		}),
		email: emailField({ value: user.email }),
		current_password: passwordField({
			label: 'Your password, to confirm',
			name: 'current-password',
			autocomplete: 'current-password',
			hint: 'A new e-mail ends all other sessions.',
		}),
	};
	const { name, email, current_password: password } = fields;
	const moved = () => email.input.value.trim() !== session.current().email;
	const look = () => (password.element.hidden = !moved());
	email.input.addEventListener('input', look);
	look();
	return section(
		'Account',
		null,
		form(
			{
				submit: 'Save',
				failed: (error) => showProblem(error, fields),
				async send() {
					const patch = {};
					if (
						name.input.value.trim() !==
						(session.current().name ?? '')
					)
						patch.name = name.input.value.trim() || null;
					if (moved()) {
						const fault = emailFault(email.input.value);
						email.fail(fault);
						if (fault) return email.input.focus();
						if (!password.input.value) {
							password.fail(
								'Please enter your password.',
							);
							return password.input.focus();
						}
						Object.assign(patch, {
							email: email.input.value.trim(),
							current_password: password.input.value,
						});
					}
					if (Object.keys(patch).length)
						session.setUser(await api.changeAccount(patch));
					password.input.value = '';
					look();
					toast('Account saved');
				},
			},
			name.element,
			email.element,
			password.element,
		).element,
	);
}

// Password managers want to know whose password it is.
const hiddenName = () =>
	h('input', {
		type: 'email',
		name: 'username',
		autocomplete: 'username',
		value: session.current().email,
		hidden: true,
		readOnly: true,
	});

function password(ended) {
	const fields = {
		current_password: passwordField({
			label: 'Current password',
			name: 'current-password',
			autocomplete: 'current-password',
			required: true,
		}),
		new_password: newPasswordField(
			'New password',
			() => session.current()?.email ?? '',
		),
	};
	const { current_password: old, new_password: next } = fields;
	const made = form(
		{
			submit: 'Change password',
			failed: (error) => {
				if (error.code === 'wrong_password') old.fail(say(error));
				return showProblem(error, fields);
			},
			async send() {
				old.fail(
					old.input.value
						? null
						: 'Please enter your current password.',
				);
				next.fail(next.judge());
				if (!old.input.value) return old.input.focus();
				if (next.judge()) return next.input.focus();
				session.renew(
					await api.changePassword({
						current_password: old.input.value,
						new_password: next.input.value,
					}),
				);
				for (const each of [old, next]) each.input.value = '';
				next.input.dispatchEvent(new Event('input'));
				toast('Password changed; all other sessions have ended');
				ended();
			},
		},
		hiddenName(),
		old.element,
		next.element,
	);
	return section('Password', null, made.element);
}

// --- sessions ---

const BROWSERS = [
	[/Edg\//, 'Edge'],
	[/OPR\//, 'Opera'],
	[/Firefox\//, 'Firefox'],
	[/Chrom(e|ium)\//, 'Chrome'],
	[/Safari\//, 'Safari'],
	[/curl\//, 'curl'],
];
const SYSTEMS = [
	[/Android/, 'Android'],
	[/iPhone|iPad/, 'iOS'],
	[/Windows/, 'Windows'],
	[/Mac OS X/, 'macOS'],
	[/Linux|X11/, 'Linux'],
];

function device(agent) {
	const find = (table) => table.find(([pattern]) => pattern.test(agent ?? ''))?.[1];
	const name = [find(BROWSERS), find(SYSTEMS)].filter(Boolean).join(' on ');
	return name || (agent ?? 'Unknown device').slice(0, 60);
}

function sessionList() {
	const list = h('ul.sessions', { role: 'list' });
	const alert = h('p.alert', { role: 'alert' });
	const others = h(
		'button',
		{
			type: 'button',
			hidden: true,
			async onclick() {
				try {
					await api.endOtherSessions();
					toast('All other sessions have ended');
					heading.focus();
					await load();
				} catch (error) {
					setText(alert, say(error));
				}
			},
		},
		'End all other sessions',
	);

	function row(each) {
		const what = device(each.user_agent);
		const used = `last used ${sayAgo(each.last_used_at)}`;
		const end = each.current
			? h('span.badge', 'This device')
			: h(
					'button',
					{
						type: 'button',
						'aria-label': `End session ${what}, ${used}`,
						async onclick() {
							try {
								await api.endSession(each.id);
							} catch (error) {
								if (error.status !== 404)
									return setText(
										alert,
										say(error),
									);
							}
							toast(`Session ended: ${what}`);
							heading.focus();
							await load();
						},
					},
					'End session',
				);
		return h(
			'li',
			h(
				'div',
				h('strong', what),
				h('p.hint', `${each.ip ?? 'Unknown address'}, ${used}`),
				h('p.hint', `since ${sayMoment(each.created_at)}`),
			),
			end,
		);
	}

	async function load() {
		try {
			const all = await api.sessions();
			all.sort((a, b) => b.current - a.current);
			list.replaceChildren(...all.map(row));
			others.hidden = all.length < 2;
			setText(alert, '');
		} catch (error) {
			setText(alert, say(error));
		}
	}
	const element = section(
		'Sessions',
		'Where you are logged in. End those that you do not know.',
		list,
		alert,
		h('div.buttons', others),
	);
	const heading = element.querySelector('h2');
	heading.tabIndex = -1;
	load();
	return { element, load };
}

// --- files ---

function download(blob, name) {
	const url = URL.createObjectURL(blob);
	h('a', { href: url, download: name }).click();
	setTimeout(() => URL.revokeObjectURL(url), 60000);
}

const FORMATS = [
	['json', 'JSON', 'json'],
	['csv', 'CSV', 'csv'],
	['ical', 'iCalendar', 'ics'],
];
const MEDIA = {
	json: 'application/json',
	csv: 'text/csv',
	ics: 'text/calendar',
	ical: 'text/calendar',
};

function files() {
	const alert = h('p.alert', { role: 'alert' });
	const report = h('div.report', { role: 'status' });
	const guard = (work) => async () => {
		setText(alert, '');
		try {
			await work();
		} catch (error) {
			setText(alert, say(error));
		}
	};
	const save = (name, file, get) =>
		h(
			'button',
			{ type: 'button', onclick: guard(async () => download(await get(), file)) },
			name,
		);

	const input = h('input', {
		type: 'file',
		id: 'import',
		accept: '.json,.csv,.ics,.ical',
		onchange: guard(() => read(true)),
	});
	const numbers = (r) =>
		[
			['created', 'new'],
			['changed', 'changed'],
			['unchanged', 'unchanged'],
			['failed', 'unreadable'],
		]
			.filter(([key]) => r[key])
			.map(([key, name]) => `${r[key]} ${name}`)
			.join(', ') || 'no tasks';

	async function read(dry) {
		const [file] = input.files;
		if (!file) return;
		const ending = file.name.split('.').pop().toLowerCase();
		if (!MEDIA[ending]) {
			setText(alert, 'Please choose a .json, .csv or .ics file.');
			return;
		}
		const result = await api.importTasks(file, MEDIA[ending], dry);
		const failed = result.rows.filter(({ status }) => status === 'failed').slice(0, 10);
		const details = failed.map(({ row, detail }) => h('li', `Row ${row}: ${detail}`));
		const go = h(
			'button',
			{ type: 'button', class: 'primary', onclick: guard(() => read(false)) },
			'Import now',
		);
		report.replaceChildren(
			h(
				'p',
				dry
					? `In this file: ${numbers(result)}.`
					: `Imported: ${numbers(result)}.`,
			),
			details.length ? h('ul.hint', details) : '',
			dry && result.created + result.changed ? go : '',
		);
		if (dry) {
			go.focus();
		} else {
			input.value = '';
			store.reload();
		}
	}

	return section(
		'Export and import',
		'Take your tasks with you, or bring them in.',
		h(
			'div.chips',
			FORMATS.map(([format, name, ending]) =>
				save(name, `tasks-${today()}.${ending}`, () =>
					api.exportTasks(format),
				),
			),
			save(
				'All data of the account',
				`account-${today()}.json`,
				api.exportAccount,
			),
		),
		h(
			'div.field',
			h('label', { for: 'import' }, 'Import a file'),
			input,
			h('p.hint', 'You see what is in it before anything changes.'),
		),
		alert,
		report,
	);
}

// --- the end ---

function farewell() {
	const fields = {
		password: passwordField({
			label: 'Your password',
			name: 'current-password',
			autocomplete: 'current-password',
			required: true,
		}),
	};
	const made = form(
		{
			submit: 'Delete account',
			failed: (error) => showProblem(error, fields),
			async send() {
				const { input, fail } = fields.password;
				fail(input.value ? null : 'Please enter your password.');
				if (!input.value) return input.focus();
				await api.deleteAccount(input.value);
				session.forget();
			},
		},
		hiddenName(),
		fields.password.element,
	);
	made.button.className = 'danger';
	return section(
		'Delete account',
		'You, your tasks and your sessions go at once. There is no way back.',
		made.element,
	);
}

export function show(root) {
	const sessions = sessionList();
	root.replaceChildren(
		h('header.head', h('h1', { tabindex: '-1' }, 'Settings')),
		h(
			'div.settings',
			looks(),
			account(),
			password(sessions.load),
			sessions.element,
			files(),
			farewell(),
		),
	);
}
