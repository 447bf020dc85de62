// One request and its answer. Whatever is not a success is thrown: a Problem that the server told
// of, or a NetworkError when there was no answer.

import { api } from './place.js';

export class Problem extends Error {
	constructor(status, body, retryAfter) {
		super(body.detail ?? `HTTP ${status}`);
		this.status = status;
		this.code = body.code ?? (status >= 500 ? 'unavailable' : 'invalid_request');
		this.errors = body.errors ?? [];
		this.current = body.current ?? null;
		this.requestId = body.request_id;
		this.retryAfter = retryAfter;
	}
}

export class NetworkError extends Error {}

// Whether the last request got an answer; listeners hear when that changes.
export const net = new (class extends EventTarget {
	up = true;
	set(up) {
		if (up === this.up) return;
		this.up = up;
		this.dispatchEvent(new Event('change'));
	}
	get offline() {
		return !navigator.onLine || !this.up;
	}
})();
addEventListener('online', () => net.dispatchEvent(new Event('change')));
addEventListener('offline', () => net.dispatchEvent(new Event('change')));

// Retry-After is a number of seconds or a date.
function seconds(value) {
	if (value === null) return null;
	const number = /^\d+$/.test(value)
		? Number(value)
		: (Date.parse(value) - Date.now()) / 1000;
	return Number.isFinite(number) ? Math.max(0, Math.ceil(number)) : null;
}

async function read(response, as) {
	if (as === 'blob' && response.ok) return response.blob();
	const type = response.headers.get('content-type') ?? '';
	if (response.status === 204 || !/^application\/([\w.-]+\+)?json/.test(type)) return null;
	return response.json();
}

export async function send(method, path, options = {}) {
	const { body, query, headers = {}, signal, timeout = 25000, as, mediaType } = options;
	if (!navigator.onLine) throw new NetworkError('offline');
	const url = new URL(`${api}/${path}`);
	for (const [key, value] of Object.entries(query ?? {})) {
		if (value !== null && value !== undefined && value !== '')
			url.searchParams.set(key, value);
	}
	const ending = new AbortController();
	const end = () => ending.abort();
	const timer = setTimeout(end, timeout);
	signal?.addEventListener('abort', end);
	if (signal?.aborted) end();
	const raw = body instanceof Blob;
	const type = mediaType ?? 'application/json';
	try {
		const response = await fetch(url, {
			method,
			headers:
				body === undefined ? headers : { ...headers, 'content-type': type },
			body: body === undefined || raw ? body : JSON.stringify(body),
			signal: ending.signal,
			credentials: 'same-origin',
			cache: 'no-store',
		});
		const data = await read(response, as);
		net.set(true);
		if (!response.ok) {
			const wait = seconds(response.headers.get('retry-after'));
			throw new Problem(response.status, data ?? {}, wait);
		}
		return { data, headers: response.headers, status: response.status };
	} catch (error) {
		if (error instanceof Problem || signal?.aborted) throw error;
		net.set(false);
		throw new NetworkError(error.message);
	} finally {
		clearTimeout(timer);
		signal?.removeEventListener('abort', end);
	}
}
