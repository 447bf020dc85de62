// What the tabs of one browser tell each other, and the locks between them. Pages that are not
// "secure contexts" have no locks: there each tab works for itself.

import { named } from './place.js';

const channel = 'BroadcastChannel' in self ? new BroadcastChannel(named('tabs')) : null;
const hearers = new Map();

if (channel) {
	channel.onmessage = ({ data }) => hearers.get(data.type)?.forEach((hear) => hear(data));
}

export const tell = (type, message) => channel?.postMessage({ ...message, type });

export function hear(type, hearer) {
	if (!hearers.has(type)) hearers.set(type, []);
	hearers.get(type).push(hearer);
}

// Runs `work(waited)` while no other tab does. `waited`: somebody else had the lock before.
export async function lock(what, work, signal) {
	if (!navigator.locks) return work(false);
	const name = named(what);
	const busy = Symbol('busy');
	const atOnce = await navigator.locks.request(name, { ifAvailable: true }, (held) =>
		held ? work(false) : busy,
	);
	return atOnce === busy
		? navigator.locks.request(name, { signal }, () => work(true))
		: atOnce;
}

export const pause = (ms, signal) =>
	new Promise((done) => {
		const end = () => {
			clearTimeout(timer);
			signal?.removeEventListener('abort', end);
			done();
		};
		const timer = setTimeout(end, ms);
		signal?.addEventListener('abort', end);
	});
