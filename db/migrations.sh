#!/bin/sh
# Prints the migrations named as C source. The text goes in as bytes, since C need not take
# strings of that length.
set -eu

rows=
n=0
echo '/* Made from db/migrations by db/migrations.sh. */'
echo '#include "base/base.h"'
echo
echo '#include "store/migrate.h"'
for file in "$@"; do
	n=$((n + 1))
	name=$(basename "$file" .sql)
	case $name in
	"$(printf %04d_ "$n")"?*) ;;
	*)
		echo "$file: migration $n has to be named $(printf %04d "$n")_….sql" >&2
		exit 1
		;;
	esac
	sum=$(sha256sum <"$file")
	echo
	echo "static const unsigned char sql_$n[] = {"
	od -An -v -tu1 "$file" | sed 's/  */ /g; s/\([0-9]\)\( \|$\)/\1,\2/g'
	echo ' 0 };'
	rows="$rows	{ $n, \"$name\",
	  \"${sum%% *}\",
	  (const char *)sql_$n },
"
done
echo
echo 'const struct migration migrations[] = {'
printf %s "$rows"
echo '};'
echo 'const size_t migrations_count = ARRAY_LEN(migrations);'
