# Turns db/queries/*.sql into C: `-v out=header` the enum and the type, `-v out=source` the array.
# POSIX awk. Every statement has a name, a scope and parameters without gaps, or the build fails.

function fail(where, what)
{
	printf "%s: %s\n", where, what > "/dev/stderr"
	failed = 1
	exit 1
}

function finish(    i, found)
{
	if (name == "")
		return
	if (scope == "")
		fail(begun, "statement " name " has no scope")
	sub(/;[ \t\n]*$/, "", text)
	if (text == "")
		fail(begun, "statement " name " is empty")
	if (text ~ /;/)
		fail(begun, "statement " name " is more than one")
	found = 0
	for (i in seen)
		if (i + 0 > found)
			found = i + 0
	for (i = 1; i <= found; i++)
		if (!(i in seen))
			fail(begun, "statement " name " has $" found " but no $" i)
	n++
	names[n] = name
	scopes[n] = scope
	texts[n] = text
	params[n] = found
	name = ""
}

# The server prepares every statement of its own; the others come behind those.
function is_prepared(i)
{
	return scopes[i] ~ /^(user|pre_user|service)$/
}

function sort(    i, prepared)
{
	for (prepared = 1; prepared >= 0; prepared--)
		for (i = 1; i <= n; i++)
			if (is_prepared(i) == prepared)
				order[++sorted] = i
}

function begin_statement(new)
{
	finish()
	if (new !~ /^[a-z][a-z0-9_]*$/)
		fail(FILENAME ":" FNR, "bad name \"" new "\"")
	if (new in taken)
		fail(FILENAME ":" FNR, "statement " new " is there already, in " taken[new])
	name = new
	begun = FILENAME ":" FNR
	taken[new] = begun
	scope = ""
	text = ""
	split("", seen)
}

function c_string(s)
{
	gsub(/\\/, "\\\\", s)
	gsub(/"/, "\\\"", s)
	gsub(/\t/, "\\t", s)
	gsub(/\n/, "\\n\"\n\t\t\"", s)
	return "\"" s "\""
}

FNR == 1 { finish() }

/^-- name:/ {
	begin_statement($3)
	next
}

/^-- scope:/ {
	if (name == "" || text != "")
		fail(FILENAME ":" FNR, "a scope belongs right below a name")
	if ($3 !~ /^(user|pre_user|service|admin|foreign)$/)
		fail(FILENAME ":" FNR, "bad scope \"" $3 "\"")
	scope = $3
	next
}

/^--/ || /^[ \t]*$/ { next }

{
	if (name == "")
		fail(FILENAME ":" FNR, "statement without a name")
	if (scope == "")
		fail(FILENAME ":" FNR, "statement " name " has no scope")
	text = text == "" ? $0 : text "\n" $0
	rest = $0
	while (match(rest, /\$[0-9]+/)) {
		seen[substr(rest, RSTART + 1, RLENGTH - 1) + 0] = 1
		rest = substr(rest, RSTART + RLENGTH)
	}
}

END {
	if (failed)
		exit 1
	finish()
	if (n == 0)
		fail("db/queries", "no statements")
	sort()
	print "/* Made from db/queries by db/statements.awk. */"
	if (out == "header") {
		print "#ifndef TASKCELL_STORE_STATEMENTS_H"
		print "#define TASKCELL_STORE_STATEMENTS_H"
		print "\n#include \"base/base.h\"\n"
		print "enum statement_id {"
		for (i = 1; i <= n; i++)
			printf "\tSTATEMENT_%s,\n", toupper(names[order[i]])
		print "\tSTATEMENT_COUNT,"
		print "};\n"
		for (i = 0; i < n && is_prepared(order[i + 1]); i++)
			;
		print "/* The first ones are the server's. The others are sent with their text. */"
		printf "enum { STATEMENT_PREPARED = %d };\n\n", i
		print "struct statement {"
		print "\tconst char *name;"
		print "\tconst char *scope; /* user, pre_user, service; admin, foreign */"
		print "\tconst char *text;"
		print "\tint params;"
		print "};\n"
		print "extern const struct statement statements[STATEMENT_COUNT];"
		print "\n#endif"
	} else {
		print "#include \"base/base.h\"\n"
		print "#include \"store/statements.h\"\n"
		print "const struct statement statements[STATEMENT_COUNT] = {"
		for (i = 1; i <= n; i++)
			printf "\t{ \"%s\", \"%s\",\n\t\t%s,\n\t\t%d },\n", names[order[i]],
				scopes[order[i]], c_string(texts[order[i]]), params[order[i]]
		print "};"
	}
}
