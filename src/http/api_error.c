#include "base/base.h"

#include "http/api_error.h"

static const struct api_error_info infos[API_ERROR_COUNT] = {
#define X(name, status, code, detail) [API_##name] = { status, code, detail },
	API_ERRORS(X)
#undef X
};

const struct api_error_info *api_error_info(enum api_error error)
{
	return &infos[error];
}
