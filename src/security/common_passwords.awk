# Turns common_passwords.txt into C: the table that common_passwords.h describes. POSIX awk, run
# with LC_ALL=C. A line that does not fit fails the build.

function fail(what)
{
	printf "%s:%d: %s\n", FILENAME, FNR, what > "/dev/stderr"
	failed = 1
	exit 1
}

BEGIN {
	print "/* Made from common_passwords.txt by common_passwords.awk. */"
	print "#include \"base/base.h\"\n"
	print "#include \"security/common_passwords.h\"\n"
	print "const char common_passwords[] = {"
}

/^#( |$)/ { next }

{
	if ($0 !~ /^[!-@[-~]*$/)
		fail("only lower-case ASCII without blanks")
	if (length($0) < 8 || length($0) > 30)
		fail("a password of 8 to 30 characters")
	if (n++ && $0 "" <= last "")
		fail("not in order, or there twice")
	for (same = 0; substr($0, same + 1, 1) == substr(last, same + 1, 1); )
		same++
	line = "\t" (same + 1) ","
	for (i = same + 1; i <= length($0); i++) {
		c = substr($0, i, 1)
		line = line (c == "'" || c == "\\" ? "'\\" : "'") c "',"
	}
	print line
	last = $0
}

END {
	if (failed)
		exit 1
	print "};"
	print "const size_t common_passwords_len = sizeof(common_passwords);"
}
