// Dates as people say them. A due date is a calendar day, or a moment when it has a time.

const pad = (number) => String(number).padStart(2, '0');
export const day = (date) =>
	`${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
export const today = () => day(new Date());

const isDay = (due) => due.length === 10;
const noon = (text) => new Date(`${text}T12:00:00`); // no change of the clock makes it another day

export function addDays(text, days) {
	const date = noon(text);
	date.setDate(date.getDate() + days);
	return day(date);
}

// The day in this browser's time zone.
export const dueDay = (due) => (isDay(due) ? due : day(new Date(due.replace(' ', 'T'))));
export const dueTime = (due) => (isDay(due) ? Infinity : Date.parse(due.replace(' ', 'T')));
// As the server sorts: a day is its midnight in UTC.
export const dueKey = (due) => Date.parse(due.replace(' ', 'T'));

export const isOverdue = (task) =>
	Boolean(task.due_date) &&
	!task.completed &&
	(dueDay(task.due_date) < today() || dueTime(task.due_date) < Date.now());

const format = (options) => new Intl.DateTimeFormat(undefined, options);
const weekday = format({ weekday: 'long' });
const short = format({ day: 'numeric', month: 'short' });
const long = format({ day: 'numeric', month: 'short', year: 'numeric' });
const clock = format({ hour: 'numeric', minute: '2-digit' });
const full = format({ weekday: 'long', day: 'numeric', month: 'long' });
const stamp = format({ dateStyle: 'medium', timeStyle: 'short' });

export const sayToday = () => full.format(new Date());
export const sayMoment = (iso) => stamp.format(new Date(iso));

export function sayDue(due) {
	const at = dueDay(due);
	const away = Math.round((noon(at) - noon(today())) / 86400000);
	let text;
	if (away === 0) text = 'Today';
	else if (away === 1) text = 'Tomorrow';
	else if (away === -1) text = 'Yesterday';
	else if (away > 1 && away < 7) text = weekday.format(noon(at));
	else text = (at.slice(0, 4) === today().slice(0, 4) ? short : long).format(noon(at));
	return isDay(due) ? text : `${text}, ${clock.format(new Date(dueTime(due)))}`;
}

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });
export function sayAgo(iso) {
	const seconds = (Date.parse(iso) - Date.now()) / 1000;
	for (const [unit, length] of [
		['day', 86400],
		['hour', 3600],
		['minute', 60],
	]) {
		if (Math.abs(seconds) >= length)
			return relative.format(Math.round(seconds / length), unit);
	}
	return 'just now';
}

// A due date as two form fields, and back. Untouched, it stays as it was given.
export function splitDue(due) {
	if (!due) return { date: '', time: '' };
	if (isDay(due)) return { date: due, time: '' };
	const moment = new Date(dueTime(due));
	return { date: day(moment), time: `${pad(moment.getHours())}:${pad(moment.getMinutes())}` };
}

export function joinDue(date, time, before) {
	const was = splitDue(before);
	if (was.date === date && was.time === time) return before;
	if (!date) return null;
	if (!time) return date;
	const offset = -new Date(`${date}T${time}`).getTimezoneOffset();
	const away = Math.abs(offset);
	const zone = `${pad(Math.floor(away / 60))}:${pad(away % 60)}`;
	return `${date}T${time}:00${offset < 0 ? '-' : '+'}${zone}`;
}
