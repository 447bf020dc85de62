#!/bin/sh
# Prints docs/openapi.json as the C that src/api/openapi.h describes. The text goes in as bytes, since
# C need not take strings of that length.
set -eu

if [ "$(head -c 12 "$1")" != '{"servers":[' ]; then
	echo "$1: the first line has to be the servers" >&2
	exit 1
fi
echo '/* Made from docs/openapi.json by src/api/openapi.sh. */'
echo '#include "base/base.h"'
echo
echo '#include "api/openapi.h"'
echo
echo 'const unsigned char openapi_members[] = {'
sed 1d "$1" | tr -d '\n' | od -An -v -tu1 | sed 's/  */ /g; s/\([0-9]\)\( \|$\)/\1,\2/g'
echo '};'
echo 'const size_t openapi_members_len = sizeof(openapi_members);'
