// Keeps the files of the page, and nothing else, so that it opens without a network. The network
// comes first: what is kept is used when there is none, or none that answers soon. Requests of the
// API are not touched at all.

const CACHE = 'taskcell-shell';
const PATIENCE = 4000;
const FILES = [
	'./',
	'style.css',
	'app.js',
	'api.js',
	'dialogs.js',
	'dom.js',
	'editor.js',
	'http.js',
	'keys.js',
	'live.js',
	'messages.js',
	'outbox.js',
	'place.js',
	'query.js',
	'row.js',
	'session.js',
	'shell.js',
	'store.js',
	'strength.js',
	'tabs.js',
	'theme.js',
	'toast.js',
	'view-auth.js',
	'view-settings.js',
	'view-tasks.js',
	'view-trash.js',
	'when.js',
	'icon.svg',
	'icon-192.png',
	'icon-512.png',
	'manifest.webmanifest',
];
const scope = new URL('./', self.location);
const shell = new Set(FILES.map((file) => new URL(file, scope).href));
const cacheName = `${CACHE}:${scope.pathname}`;

self.addEventListener('install', (event) => {
	const fetchAll = async () => {
		const cache = await caches.open(cacheName);
		await cache.addAll(
			[...shell].map((url) => new Request(url, { cache: 'no-cache' })),
		);
		await self.skipWaiting();
	};
	event.waitUntil(fetchAll());
});

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

async function answer(event, key) {
	const cache = await caches.open(cacheName);
	const kept = await cache.match(key);
	const fresh = fetch(event.request).then(async (response) => {
		if (response.ok) await cache.put(key, response.clone());
		return response;
	});
	event.waitUntil(fresh.catch(() => {})); // also when it comes too late for this visit
	if (!kept) return fresh;
	const late = new Promise((resolve) => setTimeout(resolve, PATIENCE, kept));
	return Promise.race([fresh.catch(() => kept), late]);
}

self.addEventListener('fetch', (event) => {
	const { request } = event;
	const url = new URL(request.url);
	url.hash = url.search = '';
	const key = url.href === new URL('index.html', scope).href ? scope.href : url.href;
	if (request.method === 'GET' && shell.has(key)) event.respondWith(answer(event, key));
});
