// Where this page lies and where its API is. Names in the browser's stores carry the place, so that
// two installations on one host do not meet.

const meta = document.querySelector('meta[name="taskcell-api"]');

export const api = new URL(meta?.content || 'api', document.baseURI).href.replace(/\/+$/, '');
export const named = (what) => `taskcell:${new URL('.', document.baseURI).pathname}:${what}`;

// A browser that keeps nothing (or refuses to) must not stop the page.
export const kept = {
	get(what) {
		try {
			return localStorage.getItem(named(what));
		} catch {
			return null;
		}
	},
	set(what, value) {
		try {
			if (value === null) localStorage.removeItem(named(what));
			else localStorage.setItem(named(what), value);
		} catch {
			// nothing here is needed to go on
		}
	},
};
