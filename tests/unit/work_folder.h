/* SPDX-License-Identifier: MIT */
/* A folder in which a test keeps its files, and works. */
#ifndef MULLION_TEST_WORK_FOLDER_H
#define MULLION_TEST_WORK_FOLDER_H

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "texts.h"

static char folder[] = "/tmp/mullctl-test-XXXXXX";

static bool enter_folder(void)
{
	return mkdtemp(folder) && chdir(folder) == 0;
}

static int remove_files(void **state)
{
	char *command = texts_format("rm -r %s", folder);
	int status = system(command);

	(void)state;
	free(command);
	return status;
}

#endif
