// Every request that needs a user goes through call(): it brings the token, refreshes it once when
// the server refuses it, and asks again after Retry-After where asking twice does no harm.

import { Problem, send } from './http.js';
import { bearer, current } from './session.js';
import { pause } from './tabs.js';

const PATIENCE = 5; // seconds that a reader waits by himself

async function call(method, path, options = {}) {
	let stale = null;
	const whose = current()?.id;
	for (let tries = 0; ; tries++) {
		const token = await bearer(stale);
		// Somebody else may have logged in: what one asked is not done as another.
		if (current()?.id !== whose) throw new Problem(401, { code: 'session_ended' });
		const headers = { ...options.headers, authorization: `Bearer ${token}` };
		try {
			return await send(method, path, { ...options, headers });
		} catch (error) {
			if (!(error instanceof Problem)) throw error;
			const wait = error.retryAfter ?? 1;
			if (error.status === 401 && stale === null) {
				stale = token;
			} else if (
				method === 'GET' &&
				(error.status === 503 || error.status === 429) &&
				wait <= PATIENCE &&
				tries < 3
			) {
				await pause(wait * 1000, options.signal);
			} else {
				throw error;
			}
		}
	}
}

const data = async (answer) => (await answer).data;
const match = (version) => (version ? { 'if-match': `"${version}"` } : {});

// The cursor of the next page, out of `Link: <…>; rel="next"`.
function cursor(headers) {
	const link = /<([^>]+)>;\s*rel="next"/.exec(headers.get('link') ?? '');
	return link ? new URL(link[1], location.href).searchParams.get('cursor') : null;
}

async function page(path, query, signal) {
	const answer = await call('GET', path, { query, signal });
	return { items: answer.data, cursor: cursor(answer.headers) };
}

export const listTasks = (query, signal) => page('me/tasks', query, signal);
export const listTrash = (query, signal) => page('me/trash', query, signal);
export const getTask = (id) => data(call('GET', `me/tasks/${id}`));
export const stats = (today) => data(call('GET', 'me/stats', { query: { today } }));

export const createTask = (task, key) =>
	data(call('POST', 'me/tasks', { body: task, headers: { 'idempotency-key': key } }));
export const changeTask = (id, patch, version) =>
	data(call('PATCH', `me/tasks/${id}`, { body: patch, headers: match(version) }));
export const deleteTask = (id, version) =>
	data(call('DELETE', `me/tasks/${id}`, { headers: match(version) }));
export const restoreTask = (id) => data(call('POST', `me/trash/${id}/restore`));
export const purgeTask = (id) => call('DELETE', `me/trash/${id}`);
export const clearCompleted = () =>
	data(call('DELETE', 'me/tasks', { query: { completed: 'true' } }));
export const batch = (operations) => data(call('POST', 'me/tasks/batch', { body: { operations } }));

// `waited`: the server has kept us as long as it could, so the next request may follow at once.
export async function changes(since, signal) {
	const answer = await call('GET', 'me/changes', {
		query: { since, limit: 1000 },
		headers: since ? { prefer: 'wait=25' } : {},
		signal,
		timeout: 40000,
	});
	return { ...answer.data, waited: answer.headers.has('preference-applied') };
}

export const sessions = () => data(call('GET', 'auth/sessions'));
export const endSession = (id) => call('DELETE', `auth/sessions/${id}`);
export const endOtherSessions = () => call('DELETE', 'auth/sessions');
export const changePassword = (form) =>
	data(call('POST', 'auth/password', { body: { ...form, cookie: true } }));
export const changeAccount = (patch) => data(call('PATCH', 'auth/account', { body: patch }));
export const deleteAccount = (password) => call('DELETE', 'auth/account', { body: { password } });

const FILE_TIME = 300000;
export const exportTasks = (format) =>
	data(call('GET', 'me/tasks', { query: { format }, as: 'blob', timeout: FILE_TIME }));
export const exportAccount = () =>
	data(call('GET', 'auth/export', { as: 'blob', timeout: FILE_TIME }));
export const importTasks = (file, mediaType, dryRun) =>
	data(
		call('POST', 'me/tasks/import', {
			body: file,
			mediaType,
			timeout: FILE_TIME,
			query: { dry_run: dryRun ? 'true' : null },
		}),
	);
