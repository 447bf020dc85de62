// Light or dark, and whether single keys are shortcuts: choices of this browser, not of the
// account.

import { kept } from './place.js';

export const theme = () => kept.get('theme') ?? 'system';

export function setTheme(name) {
	kept.set('theme', name === 'system' ? null : name);
	showTheme();
}

export function showTheme() {
	if (theme() === 'system') delete document.documentElement.dataset.theme;
	else document.documentElement.dataset.theme = theme();
}

export const hasKeys = () => kept.get('keys') !== 'off';
export const setKeys = (on) => kept.set('keys', on ? null : 'off');
