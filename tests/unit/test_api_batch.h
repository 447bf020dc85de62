/* What the files that test batches share. */
#ifndef TASKCELL_TESTS_UNIT_TEST_API_BATCH_H
#define TASKCELL_TESTS_UNIT_TEST_API_BATCH_H

#include "base/base.h"

#include "test_api.h"
#include "world.h"

#define MISSING "0198c2f0-1a2b-7c3d-8e4f-a0b1c2d3e4ff"
#define CHOSEN  "0198c2f0-1a2b-7c3d-8e4f-000000000001"

/* Somebody with four tasks: of these `done` is completed and `gone` in the trash. */
struct batch_scene {
	struct world *w;
	struct person ada;
	const char *first, *second, *done, *gone;
};

/* Everything that a batch may change. */
struct batch_rows {
	size_t n_tasks, n_trash;
	int64_t revision;
	struct task tasks[8], trash[8];
};

const struct answer *batch_to_task(struct batch_scene *s, const char *method, const char *id);
struct batch_scene batch_scene_new(void);
const struct answer *batch(struct batch_scene *s, bool atomic, const char *operations);
const char *batch_op(struct batch_scene *s, const char *name, const char *id);
const char *batch_join(struct batch_scene *s, const char *a, const char *b);
int batch_item_status(struct batch_scene *s, const struct answer *a, int i);
const char *batch_item_text(struct batch_scene *s, const struct answer *a, int i,
			    const char *member);
struct batch_rows batch_rows_of(const struct batch_scene *s);
bool batch_unchanged(const struct batch_scene *s, const struct batch_rows *before);
const char *batch_one_of_each(struct batch_scene *s);

#endif
