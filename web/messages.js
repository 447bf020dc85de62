// What people read for each code of docs/api.md. The server's own words are for programmers.

import { NetworkError, Problem } from './http.js';

export const messages = {
	invalid_request: 'The request got lost on its way. Please try again.',
	invalid_query: 'This view asks for something that does not exist. Go back to all tasks.',
	invalid_json:
		'Something in this text could not be sent. Please check it for odd characters.',
	missing_token: 'Please log in.',
	invalid_token: 'Please log in again.',
	token_expired: 'Please log in again.',
	session_ended: 'Your session has ended. Please log in again.',
	invalid_credentials: 'E-mail and password do not match. Check both and try again.',
	invalid_refresh_token: 'Your session has ended. Please log in again.',
	registration_closed: 'New accounts cannot be made here at the moment.',
	invalid_invite: 'A new account needs an invitation code that has not been used.',
	wrong_password: 'That is not your current password.',
	cross_site: 'This only works from the site itself. Reload the page and try again.',
	not_found: 'This is no longer there. Maybe it was deleted elsewhere.',
	method_not_allowed: 'That is not possible here.',
	email_taken: 'There is already an account with this e-mail. Log in instead?',
	task_exists: 'This task is already there.',
	gone: 'This page was away for too long and has been loaded anew.',
	precondition_failed: 'This was changed elsewhere in the meantime.',
	body_too_large: 'That is too much at once. Please send less, or a smaller file.',
	unsupported_media_type: 'This kind of file cannot be read. Use JSON, CSV or iCalendar.',
	validation_failed: 'Some of what you entered cannot be accepted. Please check it.',
	idempotency_key_reused: 'This was already sent with other content. Please try again.',
	rate_limited: 'Too many attempts. Please wait a moment.',
	internal_error: 'Something went wrong on our side. Please try again.',
	hashing_busy: 'Many people are logging in right now. Please try again in a moment.',
	unavailable: 'The service is not available right now. Please try again in a moment.',
	request_timeout: 'The connection is too slow at the moment. Please try again.',
	uri_too_long: 'This search is too long.',
	headers_too_large:
		'The browser sends too much with each request. Clear its cookies for this site.',
	not_implemented: 'That is not possible here.',
	bad_gateway: 'The service did not answer. Please try again in a moment.',
	gateway_timeout: 'The service took too long to answer. Please try again in a moment.',
};

export const fieldMessages = {
	required: 'Please fill this in.',
	invalid_type: 'This cannot be read.',
	invalid_format: 'This does not have the right form.',
	invalid_value: 'This cannot be chosen.',
	out_of_range: 'This is out of range.',
	too_short: 'This is too short.',
	too_long: 'This is too long.',
	too_few: 'There are too few.',
	too_many: 'There are too many.',
	too_common: 'Too many people use this password; it would be guessed first. Choose another.',
	contains_email: 'This is too much like your e-mail. Choose something else.',
	contains_site: 'This is too much like the name of this site. Choose something else.',
	duplicate: 'This is there twice.',
	not_allowed: 'This cannot be set here.',
	not_available: 'This is not available here.',
	unknown_field: 'This is not known here.',
};

const OFFLINE = 'There is no connection to the server. Check your network and try again.';
const NO_COOKIE = 'This site is not set up for browsers yet: its operator has to set public_url.';

// Of whatever was thrown, one sentence.
export function say(error) {
	if (error instanceof NetworkError) return OFFLINE;
	if (!(error instanceof Problem)) return messages.internal_error;
	if (
		error.errors.some(
			({ field, code }) => field === 'cookie' && code === 'not_available',
		)
	) {
		return NO_COOKIE;
	}
	if (error.code === 'validation_failed' && error.errors.length) {
		return sayField(error.errors[0]);
	}
	if (error.code === 'rate_limited' && error.retryAfter) {
		return `Too many attempts. Please wait ${wait(error.retryAfter)}.`;
	}
	return messages[error.code] ?? messages.internal_error;
}

export const sayField = ({ code, detail }) => fieldMessages[code] ?? detail;

export function wait(seconds) {
	if (seconds < 60) return `${seconds} second${seconds === 1 ? '' : 's'}`;
	const minutes = Math.ceil(seconds / 60);
	return `${minutes} minute${minutes === 1 ? '' : 's'}`;
}
