// Elements, made without any HTML in strings: text stays text.

const PROPERTIES = new Set(['value', 'checked', 'disabled', 'readOnly', 'hidden', 'selected']);

// h('p.hint', { id: 'x' }, 'text', ...): the attributes may be left out.
export function h(name, ...rest) {
	const [tag, ...classes] = name.split('.');
	const element = document.createElement(tag);
	if (classes.length) element.className = classes.join(' ');
	const attributes = rest[0]?.constructor === Object ? rest.shift() : {};
	for (const [key, value] of Object.entries(attributes)) {
		if (value === undefined || value === null || value === false) continue;
		if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
		else if (PROPERTIES.has(key)) element[key] = value;
		else element.setAttribute(key, value === true ? '' : value);
	}
	element.append(...rest.flat().filter((child) => child !== null && child !== undefined));
	return element;
}

// From the sprite in index.html.
export function icon(name) {
	const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
	const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
	use.setAttribute('href', `#i-${name}`);
	svg.setAttribute('aria-hidden', 'true');
	svg.setAttribute('class', 'icon');
	svg.append(use);
	return svg;
}

export const $ = (selector, root = document) => root.querySelector(selector);

// Sets only what differs, so that nothing is drawn or read out for nothing.
export function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

let ids = 0;
export const newId = () => `f${++ids}`;

// A labelled input with a hint and a place for what is wrong with it.
export function field({ label, hint, control = 'input', ...attributes }) {
	const id = newId();
	const help = h('p.hint', { id: `${id}-hint` }, hint);
	const error = h('p.error', { id: `${id}-error` });
	const input = h(control, {
		...attributes,
		id,
		'aria-describedby': `${id}-hint ${id}-error`,
	});
	const line = h('div.input', input);
	const element = h('div.field', h('label', { for: id }, label), line, help, error);
	const fail = (text) => {
		setText(error, text ?? '');
		if (text) input.setAttribute('aria-invalid', 'true');
		else input.removeAttribute('aria-invalid');
	};
	input.addEventListener('input', () => fail(null));
	return { element, input, help, fail, line };
}

// An input for a password whose content can be looked at.
export function passwordField(attributes) {
	const made = field({
		type: 'password',
		maxlength: 512,
		spellcheck: 'false',
		...attributes,
	});
	const name = attributes.label.toLowerCase();
	const show = h(
		'button',
		{
			type: 'button',
			class: 'icon-button',
			'aria-label': `Show ${name}`,
			'aria-pressed': 'false',
			onclick() {
				const open = made.input.type === 'password';
				made.input.type = open ? 'text' : 'password';
				show.setAttribute('aria-pressed', open);
				show.replaceChildren(icon(open ? 'hide' : 'show'));
			},
		},
		icon('show'),
	);
	made.line.append(show);
	return made;
}

// A form that sends once at a time, and shows what the server says beside the fields it means.
export function form({ submit, send, failed }, ...children) {
	const alert = h('p.alert', { role: 'alert' });
	const button = h('button', { type: 'submit', class: 'primary' }, submit);
	const element = h(
		'form',
		{
			novalidate: true,
			async onsubmit(event) {
				event.preventDefault();
				if (button.getAttribute('aria-disabled')) return;
				setText(alert, '');
				button.setAttribute('aria-disabled', 'true');
				try {
					await send();
				} catch (error) {
					setText(alert, failed(error));
					$('[aria-invalid]', element)?.focus();
				} finally {
					button.removeAttribute('aria-disabled');
				}
			},
		},
		children,
		alert,
		h('div.buttons', button),
	);
	return { element, alert, button };
}
