#include "base/base.h"

#include "server/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

static bool complain(const char *what, const char *name)
{
	log_message(LOG_ERROR, "privileges", "%s %s: %s", what, name, strerror(errno));
	return false;
}

static bool look_up(const struct settings *s, uid_t *uid, gid_t *gid)
{
	const struct passwd *user = *s->user ? getpwnam(s->user) : NULL;
	const struct group *group = *s->group ? getgrnam(s->group) : NULL;

	if (!*s->user) {
		log_message(LOG_ERROR, "privileges",
			    "started as root: set `user`, or start as an ordinary user");
		return false;
	}
	if (!user || user->pw_uid == 0) {
		log_message(LOG_ERROR, "privileges", "user: %s is not an ordinary user", s->user);
		return false;
	}
	if (*s->group && !group) {
		log_message(LOG_ERROR, "privileges", "group: there is no group %s", s->group);
		return false;
	}
	*uid = user->pw_uid;
	*gid = group ? group->gr_gid : user->pw_gid;
	return true;
}

bool privileges_prepare(const struct settings *s)
{
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0)
		return true;
	if (!look_up(s, &uid, &gid))
		return false;
	if (mkdir(s->run_dir, 0755) != 0)
		return errno == EEXIST || complain("cannot make run_dir", s->run_dir);
	return chown(s->run_dir, uid, gid) == 0 || complain("cannot give away", s->run_dir);
}

bool privileges_drop(const struct settings *s)
{
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0)
		return true;
	if (!look_up(s, &uid, &gid))
		return false;
	if (initgroups(s->user, gid) != 0 || setgid(gid) != 0 || setuid(uid) != 0)
		return complain("cannot become", s->user);
	if (setuid(0) == 0 || geteuid() == 0) {
		log_message(LOG_ERROR, "privileges", "root's rights could not be given up");
		return false;
	}
	return true;
}
