// Short messages at the lower edge, with the way back for what was done.

import { $, h } from './dom.js';

const STAY = 8000;
let timer = 0;
let undo = null;

export function hide() {
	clearTimeout(timer);
	undo = null;
	if ($('#toasts').contains(document.activeElement))
		$('#main').focus({ preventScroll: true });
	$('#toasts').replaceChildren();
}

// It stays while somebody points at it or has the focus in it.
function wait() {
	clearTimeout(timer);
	timer = setTimeout(hide, STAY);
}

export function toast(text, back, name = 'Undo') {
	undo = back ?? null;
	const button = back && h('button', { type: 'button', onclick: undoLast }, name);
	const close = h(
		'button',
		{ type: 'button', class: 'close', 'aria-label': 'Dismiss', onclick: hide },
		'×',
	);
	const box = h(
		'div.toast',
		{
			onmouseenter: () => clearTimeout(timer),
			onmouseleave: wait,
			onfocusin: () => clearTimeout(timer),
			onfocusout: wait,
		},
		h('span', text),
		button,
		close,
	);
	$('#toasts').replaceChildren(box);
	wait();
}

export function undoLast() {
	const work = undo;
	hide();
	work?.();
	return Boolean(work);
}
