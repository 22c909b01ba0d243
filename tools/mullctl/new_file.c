/* SPDX-License-Identifier: MIT */
#include "new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "texts.h"

static bool failed(const char *name)
{
	tell("%s: %s", name, strerror(errno));
	return false;
}

bool new_file_failed(const struct new_file *file)
{
	return failed(file->new_name);
}

bool new_file_open(struct new_file *file, const char *name)
{
	file->name = name;
	file->new_name = texts_format("%s.new", name);
	file->fd = open(file->new_name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
			0666);
	if (file->fd >= 0)
		return true;
	failed(file->new_name);
	free(file->new_name);
	return false;
}

bool new_file_close(struct new_file *file, bool keep)
{
	if (close(file->fd) && keep)
		keep = failed(file->new_name);
	if (keep && rename(file->new_name, file->name))
		keep = failed(file->name);
	if (!keep)
		unlink(file->new_name);
	free(file->new_name);
	return keep;
}
