#include "base/base.h"

#include "shared/scoreboard.h"

#include <errno.h>
#include <sys/mman.h>

/* All is relaxed but `state`: a master that sees READING must also see when it began, or it would
 * take the worker for one that has been reading since the request before. */
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)
#define LOAD(field)         atomic_load_explicit(&(field), memory_order_relaxed)

struct slot *scoreboard_new(size_t n)
{
	struct slot *slots;

	if (n > SIZE_MAX / sizeof(*slots)) {
		errno = ENOMEM;
		return NULL;
	}
	slots = mmap(NULL, n * sizeof(*slots), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	if (slots == MAP_FAILED)
		return NULL;
	for (size_t i = 0; i < n; i++)
		slot_clear(&slots[i]);
	return slots;
}

void scoreboard_free(struct slot *slots, size_t n)
{
	(void)munmap(slots, n * sizeof(*slots));
}

void slot_set_since(struct slot *slot, int64_t since)
{
	STORE(slot->since, since);
}

void slot_set_state(struct slot *slot, enum slot_state state, int64_t now)
{
	bool was_running = LOAD(slot->state) == SLOT_RUNNING;

	if (was_running && state != SLOT_RUNNING)
		STORE(slot->served, LOAD(slot->served) + 1);
	if (state == SLOT_READING) {
		slot_set_request(slot, SLOT_NO_ROUTE, "");
		slot_set_since(slot, now);
	}
	atomic_store_explicit(&slot->state, state, memory_order_release);
}

void slot_set_request(struct slot *slot, int route, const char *request_id)
{
	size_t len = strnlen(request_id, SLOT_REQUEST_ID - 1);

	STORE(slot->route, route);
	for (size_t i = 0; i < len; i++)
		STORE(slot->request_id[i], request_id[i]);
	STORE(slot->request_id[len], '\0');
}

/* Whatever a worker may have scribbled here becomes harmless: a state that is none counts as
 * RUNNING, which the deadline ends, and no time is negative, so that differences do not overflow.
 */
void slot_read(struct slot *slot, struct slot_view *out)
{
	size_t len = 0;

	memset(out, 0, sizeof(*out));
	out->state = atomic_load_explicit(&slot->state, memory_order_acquire);
	if (out->state < SLOT_EMPTY || out->state > SLOT_RUNNING)
		out->state = SLOT_RUNNING;
	out->route = LOAD(slot->route);
	if (out->route < 0)
		out->route = SLOT_NO_ROUTE;
	out->since = LOAD(slot->since);
	if (out->since < 0)
		out->since = 0;
	for (; len < SLOT_REQUEST_ID - 1; len++) {
		char c = LOAD(slot->request_id[len]);

		if (!c)
			break;
		out->request_id[len] = c > ' ' && c < 0x7f ? c : '?';
	}
}

void slot_clear(struct slot *slot)
{
	slot_set_request(slot, SLOT_NO_ROUTE, "");
	STORE(slot->since, 0);
	STORE(slot->served, 0);
	STORE(slot->state, SLOT_EMPTY);
}
