// Log in, and make an account.

import { field, form, h, passwordField, setText } from './dom.js';
import { Problem } from './http.js';
import { say, sayField, wait } from './messages.js';
import * as session from './session.js';
import { emailFault, emailHint, passwordHint } from './strength.js';

export const emailField = (attributes) => {
	const made = field({
		label: 'E-mail',
		name: 'email',
		type: 'email',
		autocomplete: 'username',
		required: true,
		autocapitalize: 'none',
		spellcheck: 'false',
		maxlength: 320,
		...attributes,
	});
	// The line for it is always there: a button must not move away from under the pointer.
	made.element.classList.add('steady');
	made.input.addEventListener('blur', () => {
		setText(made.help, emailHint(made.input.value));
		const fault = made.input.value && emailFault(made.input.value);
		if (fault) made.fail(fault);
	});
	return made;
};

// A new password with a meter under it, which knows the e-mail.
export function newPasswordField(label, email) {
	const made = passwordField({
		label,
		name: 'new-password',
		autocomplete: 'new-password',
		required: true,
	});
	const meter = h('div.meter', { 'aria-hidden': 'true' });
	made.help.before(meter);
	const look = () => {
		const { level, text } = passwordHint(made.input.value, email());
		meter.dataset.level = level;
		setText(made.help, text);
	};
	made.input.addEventListener('input', look);
	look();
	made.judge = () => {
		const { level, text } = passwordHint(made.input.value, email());
		return made.input.value ? (level ? null : text) : 'Please choose a password.';
	};
	return made;
}

// Puts what the server said beside its fields; the answer is what stands over the form.
export function showProblem(error, fields) {
	let rest = null;
	for (const each of error instanceof Problem ? error.errors : []) {
		const beside = fields[each.field];
		if (beside) beside.fail(sayField(each));
		else rest ??= say(error);
	}
	if (error.code === 'email_taken' && fields.email) fields.email.fail(say(error));
	return error.code === 'validation_failed'
		? (rest ?? 'Please check what is marked.')
		: say(error);
}

// The button waits for as long as the server asks.
function countDown(button, alert, seconds) {
	button.disabled = true;
	const until = Date.now() + seconds * 1000;
	const tick = () => {
		const left = Math.ceil((until - Date.now()) / 1000);
		if (!button.isConnected) return;
		if (left <= 0) {
			button.disabled = false;
			setText(alert, '');
			return;
		}
		if (left === seconds || left % 10 === 0)
			setText(alert, `Too many attempts. Please wait ${wait(left)}.`);
		setTimeout(tick, 1000);
	};
	tick();
}

function card(title, text, parts, other) {
	return h(
		'section.card',
		h('img', { src: 'icon.svg', alt: '', width: 40, height: 40 }),
		h('h1', title),
		text ? h('p.hint', text) : null,
		parts,
		h('p.other', other),
	);
}

function refuseAt(fields, judge) {
	let first = null;
	for (const [name, made] of Object.entries(fields)) {
		const fault = judge[name]?.() ?? null;
		made.fail(fault);
		if (fault) first ??= made.input;
	}
	first?.focus();
	return first !== null;
}

const link = (page, route, text) =>
	h(
		'a',
		{ href: `#/${page}${route.next ? `?next=${encodeURIComponent(route.next)}` : ''}` },
		text,
	);

function failed(made, fields) {
	return (error) => {
		if (error.code === 'rate_limited' && error.retryAfter) {
			countDown(made().button, made().alert, error.retryAfter);
		}
		return showProblem(error, fields);
	};
}

export function login(root, route, notice) {
	const fields = {
		email: emailField({}),
		password: passwordField({
			label: 'Password',
			name: 'password',
			autocomplete: 'current-password',
			required: true,
		}),
	};
	const { email, password } = fields;
	const made = form(
		{
			submit: 'Log in',
			failed: failed(() => made, fields),
			async send() {
				const judge = {
					email: () => emailFault(email.input.value),
					password: () =>
						password.input.value
							? null
							: 'Please enter your password.',
				};
				if (refuseAt(fields, judge)) return;
				await session.login({
					email: email.input.value.trim(),
					password: password.input.value,
				});
			},
		},
		email.element,
		password.element,
	);
	root.replaceChildren(
		card('Welcome back', notice, made.element, [
			'New here? ',
			link('register', route, 'Create an account'),
		]),
	);
	email.input.focus({ preventScroll: true });
}

export function register(root, route) {
	const email = emailField({});
	const fields = {
		name: field({
			label: 'Name',
			name: 'name',
			autocomplete: 'name',
			maxlength: 200,
			placeholder: 'Optional',
		}),
		email,
		password: newPasswordField('Password', () => email.input.value),
		invite: field({
			label: 'Invitation code',
			name: 'invite',
			autocomplete: 'off',
			maxlength: 200,
		}),
	};
	const { name, password, invite } = fields;
	invite.input.value = route.invite;
	invite.element.hidden = !route.invite;
	const made = form(
		{
			submit: 'Create account',
			failed(error) {
				if (error.code === 'invalid_invite') invite.element.hidden = false;
				return failed(() => made, fields)(error);
			},
			async send() {
				if (
					refuseAt(fields, {
						email: () => emailFault(email.input.value),
						password: password.judge,
					})
				) {
					return;
				}
				const given = {
					email: email.input.value.trim(),
					password: password.input.value,
				};
				if (name.input.value.trim()) given.name = name.input.value.trim();
				if (invite.input.value.trim())
					given.invite = invite.input.value.trim();
				await session.register(given);
			},
		},
		name.element,
		email.element,
		password.element,
		invite.element,
	);
	root.replaceChildren(
		card('Create your account', null, made.element, [
			'Already have an account? ',
			link('login', route, 'Log in'),
		]),
	);
	name.input.focus({ preventScroll: true });
}
