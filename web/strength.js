// Hints about e-mails and passwords while they are typed. They never stop anybody: the server
// decides.

const COMMON = new Set(
	(
		'password passwort 12345678 123456789 1234567890 qwertyuiop qwerty123 iloveyou ' +
		'sunshine princess football baseball superman trustno1 welcome1 abcd1234 ' +
		'letmein1 987654321 starwars dragon123 whatever computer internet michelle jennifer'
	).split(' '),
);
const MISTYPED = {
	'gmial.com': 'gmail.com',
	'gmai.com': 'gmail.com',
	'gmal.com': 'gmail.com',
	'gmail.co': 'gmail.com',
	'gamil.com': 'gmail.com',
	'hotmial.com': 'hotmail.com',
	'hotmal.com': 'hotmail.com',
	'outlok.com': 'outlook.com',
	'yaho.com': 'yahoo.com',
	'yahooo.com': 'yahoo.com',
	'iclod.com': 'icloud.com',
};

const bare = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');

// What is wrong with an e-mail, or null.
export function emailFault(email) {
	const text = email.trim();
	if (!text) return 'Please enter your e-mail.';
	if (!text.includes('@')) return 'An e-mail has an @ in it.';
	if (!/^[^\s@]{1,64}@[^\s@]+$/.test(text) || text.length > 254)
		return 'This does not look like an e-mail.';
	if (!/@[^.@]+(\.[^.@]+)+$/.test(text))
		return 'The part after the @ needs a dot, like example.org.';
	return null;
}

export function emailHint(email) {
	const at = email.trim().lastIndexOf('@');
	const meant =
		MISTYPED[
			email
				.trim()
				.slice(at + 1)
				.toLowerCase()
		];
	return meant ? `Did you mean ${email.trim().slice(0, at + 1)}${meant}?` : '';
}

// { level: 0 to 4, text }; with 0 the server will say no.
export function passwordHint(password, email) {
	const length = [...password.normalize('NFKC')].length;
	if (length === 0)
		return {
			level: 0,
			text: 'At least 8 characters; a few words are easy to remember.',
		};
	if (length < 8)
		return {
			level: 0,
			text: `${8 - length} more character${length === 7 ? '' : 's'} to go.`,
		};
	if (length > 128) return { level: 0, text: 'At most 128 characters.' };
	const folded = bare(password);
	const name = bare(email.split('@')[0]);
	const words = folded.replace(/\d{1,4}$/, '');
	if (COMMON.has(folded) || COMMON.has(words) || new Set(password).size <= 2) {
		return { level: 0, text: 'This is one of the first that anybody would try.' };
	}
	if (name.length >= 4 && folded.includes(name) && folded.length - name.length < 8) {
		return { level: 0, text: 'This is too much like your e-mail.' };
	}
	const kinds = [/\p{Ll}/u, /\p{Lu}/u, /\p{N}/u, /[^\p{L}\p{N}]/u].filter((kind) =>
		kind.test(password),
	);
	const score = length + 2 * kinds.length;
	if (score < 14) return { level: 1, text: 'Accepted, but longer would be better.' };
	if (score < 18) return { level: 2, text: 'Fair. Another word would make it strong.' };
	return score < 23 ? { level: 3, text: 'Strong.' } : { level: 4, text: 'Very strong.' };
}
