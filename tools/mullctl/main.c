/* SPDX-License-Identifier: MIT */
/* Only main, so that unit tests can link the rest. */
#include "status.h"
#include "texts.h"
#include "verbs.h"

int main(int argc, char **argv)
{
	int status = mullctl(argc, argv);

	/* Output that could not be written is not a success. */
	if (fflush(stdout) && status == STATUS_OK) {
		tell("standard output: cannot be written");
		status = STATUS_HOST;
	}
	return status;
}
