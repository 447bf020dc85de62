#include "base/base.h"

#include "shared/scoreboard.h"

#include <sys/mman.h>

#include "base/clock.h"

/* All is relaxed but `state`: a master that sees READING must also see when it began, or it would
 * take the worker for one that has been reading since the request before. */
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)
#define LOAD(field)         atomic_load_explicit(&(field), memory_order_relaxed)

enum { HALVES = 2 };

struct memory {
	_Atomic uint64_t restarts[RESTART_CAUSES];
	_Atomic uint64_t used[HALVES]; /* slots that ever had a worker */
	struct slot slots[HALVES][BOARD_SLOTS];
};

/* Each process has one of its own; the master does not look for `taken` in what is shared. */
struct board {
	int64_t began; /* Unix seconds */
	bool taken[HALVES];
	struct memory *shared;
};

struct board *board_new(void)
{
	struct board *board = calloc(1, sizeof(*board));

	if (!board)
		return NULL;
	board->began = clock_now_us() / US_PER_SECOND;
	board->shared = mmap(NULL, sizeof(*board->shared), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (board->shared == MAP_FAILED) {
		free(board);
		return NULL;
	}
	return board;
}

void board_free(struct board *board)
{
	if (!board)
		return;
	(void)munmap(board->shared, sizeof(*board->shared));
	free(board);
}

struct slot *board_take(struct board *board, size_t n)
{
	struct memory *m = board->shared;
	size_t half = board->taken[0] ? 1 : 0;

	if (n > BOARD_SLOTS || board->taken[half])
		return NULL;
	board->taken[half] = true;
	for (size_t i = 0; i < n; i++)
		slot_clear(&m->slots[half][i]);
	if (n > LOAD(m->used[half]))
		STORE(m->used[half], n);
	return m->slots[half];
}

void board_give_back(struct board *board, const struct slot *slots)
{
	for (size_t half = 0; slots && half < HALVES; half++) {
		if (board->shared->slots[half] == slots)
			board->taken[half] = false;
	}
}

void board_restarted(struct board *board, enum restart cause)
{
	struct memory *m = board->shared;

	STORE(m->restarts[cause], LOAD(m->restarts[cause]) + 1);
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
	STORE(slot->pool, SLOT_NO_POOL);
	slot_set_hashing(slot, HASHING_NONE);
	slot_set_memory(slot, 0, 0);
}

void slot_set_pool(struct slot *slot, int pool)
{
	STORE(slot->pool, pool);
}

void slot_set_hashing(struct slot *slot, enum slot_hashing hashing)
{
	STORE(slot->hashing, hashing);
}

void slot_set_memory(struct slot *slot, int64_t resident, int64_t proportional)
{
	STORE(slot->resident, resident);
	STORE(slot->proportional, proportional);
}

static void view_add(struct board_view *v, struct slot *slot)
{
	int pool = LOAD(slot->pool), state = LOAD(slot->state), hashing = LOAD(slot->hashing);

	for (size_t i = 0; i < SLOT_COUNTS; i++)
		v->counts[i] += LOAD(slot->counts[i]);
	if (pool < 0 || pool >= BOARD_POOLS)
		return;
	if (state >= 0 && state < BOARD_STATES)
		v->workers[pool][state]++;
	if (hashing >= 0 && hashing < HASHING_STATES)
		v->hashing[hashing]++;
	v->resident[pool] += (uint64_t)LOAD(slot->resident);
	v->proportional[pool] += (uint64_t)LOAD(slot->proportional);
}

void board_read(struct board *board, struct board_view *out)
{
	struct memory *m = board->shared;

	memset(out, 0, sizeof(*out));
	out->began = board->began;
	for (size_t i = 0; i < RESTART_CAUSES; i++)
		out->restarts[i] = LOAD(m->restarts[i]);
	for (size_t half = 0; half < HALVES; half++) {
		uint64_t used = LOAD(m->used[half]);

		for (size_t i = 0; i < used && i < BOARD_SLOTS; i++)
			view_add(out, &m->slots[half][i]);
	}
}
